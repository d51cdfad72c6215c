// node run.js [folder] [hostname]   where the folder holds key.pem and certificate.pem, made for that host name
// Without a folder, keys for "localhost" are made by the command line of the package.
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Endpoint, Relay } from 'objectrelay'

const password = process.env.OBJECTRELAY_PASSWORD ?? 'only for this example: 5tG9'
const givenFolder = process.argv[2]
const hostname = process.argv[3] ?? 'localhost'
const keysDir = givenFolder ?? (await mkdtemp(join(tmpdir(), 'objectrelay-keys-')))

if (givenFolder === undefined) {
  // However this ends, no key stays behind.
  process.on('exit', () => rmSync(keysDir, { recursive: true, force: true }))
  // The same as: npx objectrelay keys generate --keys-dir <folder>
  const command = fileURLToPath(new URL('./cli/main.js', import.meta.resolve('objectrelay')))
  await promisify(execFile)(process.execPath, [command, 'keys', 'generate', '--keys-dir', keysDir])
  console.log('Made a key and a certificate for localhost.')
}

// The relay shows the certificate of the folder. Its endpoints need certificate.pem only: never copy key.pem to them.
const relay = await Relay.start({ host: '127.0.0.1', port: 0, password, keysDir })
const address = { host: '127.0.0.1', port: relay.port, password, keysDir }

const endpoint = await Endpoint.connect({ ...address, hostname, groups: 'group_1' })
await endpoint.produce('Over a channel whose certificate was checked.', 'group_1')
await endpoint.notify('group_1')
console.log(...(await endpoint.pop({ blocking: true })))
await endpoint.stop()

try {
  const impostor = await Endpoint.connect({ ...address, hostname: 'relay.example.org' })
  await impostor.stop()
  console.error('FAILED: a certificate for another host name was accepted.')
  process.exitCode = 1
} catch (error) {
  const { code, message } = /** @type {import('objectrelay').ObjectRelayError} */ (error)
  console.log(`A wrong host name is refused: ${code}\n  ${message}`)
  if (code !== 'CERTIFICATE_WRONG_HOST') process.exitCode = 1
}

await relay.stop()
