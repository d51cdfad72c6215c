import type { ThreadName } from './threads.ts'

// Where each thread begins that is started from its code; the build bundles this, with all that it needs, into threadCode.ts.
switch (process.argv.at(-1) as ThreadName) {
  case 'objectrelay I/O':
    await import('./endpoint/network/ioThread.ts')
    break
  case 'objectrelay relay':
    await import('./relay/relayThread.ts')
    break
  case 'objectrelay login':
    await import('./security/loginThread.ts')
}
