import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { repository } from './codeBlocks.ts'
import { type Outcome, runProgram } from './programs.ts'

/** What `npm pack --json` tells of the tarball. */
export interface PackedPackage {
  filename: string
  /** Bytes of the tarball. */
  size: number
  unpackedSize: number
  files: { path: string; size: number }[]
}

/** Runs npm; through Node where npm says where it is, since on Windows it is no program that can be started by itself. */
export function runNpm(parameters: readonly string[], folder: string): Promise<Outcome> {
  const npm = process.env.npm_execpath
  const options = { folder, timeLimitMs: 110_000 }
  return npm === undefined
    ? runProgram('npm', parameters, options)
    : runProgram(process.execPath, [npm, ...parameters], options)
}

async function npmOrThrow(parameters: readonly string[], folder: string): Promise<string> {
  const { code, output } = await runNpm(parameters, folder)
  if (code !== 0) throw new Error(`npm ${parameters.join(' ')} ended with ${code}:\n${output}`)
  return output
}

/** Packs this package as it would be published, into `folder`. */
export async function pack(folder: string): Promise<PackedPackage> {
  const output = await npmOrThrow(['pack', '--json', '--loglevel=silent', '--pack-destination', folder], repository)
  const [packed]: PackedPackage[] = JSON.parse(output.slice(output.indexOf('[\n')))
  if (packed === undefined) throw new Error(`npm pack told of no package:\n${output}`)
  return packed
}

/** Makes an empty project in `folder` and installs the tarball there, as a user does. Its dependencies come from the registry. */
export async function installPacked(folder: string, tarball: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'project', private: true }))
  await npmOrThrow(['install', tarball, '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'], folder)
}

/** Versions as `npm install` wrote them down. */
export async function installedPackages(folder: string): Promise<string[]> {
  const lock = JSON.parse(await readFile(join(folder, 'node_modules', '.package-lock.json'), 'utf8'))
  return Object.keys(lock.packages).map((path) => path.replace('node_modules/', ''))
}

/** Sends an object to itself through a relay; the ways to write such a program differ in their first lines only. */
const body = `
async function main() {
  const password = 'seven lamps under a green bridge'
  const relay = await Relay.start({ host: '127.0.0.1', port: 0, password })
  const connection = { host: '127.0.0.1', port: relay.port, password }
  const endpoint = await Endpoint.connect({ ...connection, groups: 'g', io: 'thread' })
  const sent = { when: new Date(0), weights: new Float32Array([1, 2.5]), big: 2n ** 70n }
  await endpoint.produce(sent, 'g')
  await endpoint.notify('g')
  const [received] = await endpoint.pop({ blocking: true, timeoutMs: 10_000 })
  deepStrictEqual(received, sent)
  await endpoint.stop()
  await relay.stop()
  console.log('The object arrived.')
}
`

export const moduleProgram: string = `import { deepStrictEqual } from 'node:assert'
import { Endpoint, Relay } from 'objectrelay'
${body}
await main()
`

export const commonProgram: string = `const { deepStrictEqual } = require('node:assert')
const { Endpoint, Relay } = require('objectrelay')
${body}
main()
`

const durableBody = `
const password = 'seven lamps under a green bridge'
const store = fileStore({ dir: 'a-store' })
const first = await Relay.start({ host: '127.0.0.1', port: 0, password, store })
const producer = await Endpoint.connect({ host: '127.0.0.1', port: first.port, password })
await producer.produce({ task: 1 }, 'g')
await producer.stop()
await first.stop()
const second = await Relay.start({ host: '127.0.0.1', port: 0, password, store })
const consumer = await Endpoint.connect({ host: '127.0.0.1', port: second.port, password, groups: 'g' })
await consumer.notify('g')
deepStrictEqual(await consumer.pop({ blocking: true, timeoutMs: 10_000 }), [{ task: 1 }])
await consumer.stop()
await second.stop()
console.log('The object outlived the relay.')
`

/** An object waits in the store while no relay runs. */
export const durableProgram: string = `import { deepStrictEqual } from 'node:assert'
import { Endpoint, fileStore, Relay } from 'objectrelay'
${durableBody}`

export const typedDurableProgram: string = `import { deepStrictEqual } from 'node:assert'
import { Endpoint, fileStore, type FileStoreOptions, Relay, type RelayOptions } from 'objectrelay'
const options: FileStoreOptions = { dir: 'a-store', durability: 'written', bytesMax: 2 ** 30 }
const kept: RelayOptions['store'] = fileStore(options)
deepStrictEqual(typeof kept, 'object')
// @ts-expect-error: there is no such durability
const wrong: FileStoreOptions = { dir: 'a-store', durability: 'perhaps' }
deepStrictEqual(wrong.dir, options.dir)
${durableBody}`

/** The same with a typed group, and a use of most types that the package exports. */
export const typedProgram: string = `import { deepStrictEqual } from 'node:assert'
import { Endpoint, type EndpointOptions, ObjectRelayError, Relay, type RelayOptions, type Receipt } from 'objectrelay'

interface Sent {
  when: Date
  weights: Float32Array
}
type Groups = { g: Sent; h: string }

const password = 'seven lamps under a green bridge'
const relayOptions: RelayOptions = { host: '127.0.0.1', port: 0, password, acceptedGroups: { g: { maxCount: 1 } } }
const relay: Relay = await Relay.start(relayOptions)
const options: EndpointOptions<Groups> = { host: '127.0.0.1', port: relay.port, password, groups: 'g' }
const endpoint: Endpoint<Groups> = await Endpoint.connect(options)
const sent: Sent = { when: new Date(0), weights: new Float32Array([1, 2.5]) }
const { members }: Receipt<'g'> = await endpoint.produce(sent, 'g')
const count: number = members.g
deepStrictEqual(count, 1)
// @ts-expect-error: the objects of this group are strings
await endpoint.produce(sent, 'h').catch((error: unknown) => {
  deepStrictEqual(error instanceof ObjectRelayError && error.code, 'GROUP_NOT_ACCEPTED')
})
await endpoint.notify({ g: 1 })
const received: (Sent | string)[] = await endpoint.pop({ blocking: true, timeoutMs: 10_000 })
deepStrictEqual(received, [sent])
await endpoint.stop()
await relay.stop()
console.log('The object arrived.')
`
