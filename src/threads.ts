import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker, type WorkerOptions } from 'node:worker_threads'
import { createError } from './errors.ts'

/** The threads of this library, and where each begins, from here. */
const files = {
  'objectrelay I/O': './endpoint/network/ioThread.js',
  'objectrelay relay': './relay/relayThread.js',
  'objectrelay login': './security/loginThread.js',
} as const

export type ThreadName = keyof typeof files

/** How this module ends where it is a file of the package. */
const ownName = '/threads.js'

/**
 * Starts a thread from its file. A program that was bundled into one file has no such file, and no place where it could be: then
 * the thread is started from its code as a text, which `scripts/build.js` makes of the same files. That is imported only then.
 */
export function startThread(name: ThreadName, options: WorkerOptions): Worker | Promise<Worker> {
  // What the program was started with (a debugger, a loader, flags) is not for these threads.
  const own = { ...options, name, execArgv: [], argv: [name] }
  // Where modules become CommonJS there is none, whatever the types say.
  const here: string | undefined = import.meta.url
  // In a thread that was started from its code: that has all of them.
  if (here?.startsWith('data:') === true) return new Worker(new URL(here), own)
  const file = here?.endsWith(ownName) === true ? new URL(files[name], here) : undefined
  if (file !== undefined && existsSync(fileURLToPath(file))) return new Worker(file, own)
  return startFromCode(own)
}

async function startFromCode(options: WorkerOptions): Promise<Worker> {
  const { threadCode } = await import('./threadCode.ts')
  if (threadCode === '') {
    throw createError(
      'BACKGROUND_FAILED',
      'A thread cannot be started from sources: run npm run build, and what is in dist.',
    )
  }
  return new Worker(new URL(`data:text/javascript;base64,${Buffer.from(threadCode).toString('base64')}`), options)
}
