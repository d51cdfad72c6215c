import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Endpoint, fileStore, inspectStore, purgeGroup, Relay, StoreError } from 'objectrelay'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { codeOf, failureOf } from '../support/failures.ts'
import { temporaryFolder, useDataFolder } from '../support/folders.ts'
import { host, Network, password, take } from '../support/network.ts'

useDataFolder()
const network = new Network()
afterEach(() => network.end())

const MiB = 1024 * 1024
let dir: string
beforeEach(async () => {
  dir = join(await temporaryFolder(), 'store')
})

/** Produces objects of 64 KiB, or broadcasts, until one is refused; returns how many were accepted, and why that one was not. */
async function sendUntilRefused(endpoint: Endpoint): Promise<{ accepted: number; failure: unknown }> {
  for (let accepted = 0; accepted < 1_000; accepted++) {
    const content = new Uint8Array(64 * 1024).fill(accepted)
    const failure = await endpoint.produce({ number: accepted, content }, 'g').then(
      () => undefined,
      (error: unknown) => error,
    )
    if (failure !== undefined) return { accepted, failure }
  }
  throw new Error('Nothing was refused.')
}

function isObjectOf(object: unknown, number: number): boolean {
  if (typeof object !== 'object' || object === null || !('number' in object && 'content' in object)) return false
  const { content } = object
  const isWhole = content instanceof Uint8Array && content.length === 64 * 1024
  return object.number === number && isWhole && content.every((byte) => byte === number)
}

describe('Retained broadcasts on the disk', () => {
  it('are after a restart what they were: cleared, evicted and unretained ones are not there', async () => {
    const options = { store: fileStore({ dir }), limits: { groupsMax: 4 } }
    const relay = await network.relay(options)
    const sender = await network.connect(relay)
    for (const group of ['evicted', 'cleared', 'large', 'kept']) await sender.broadcast(`of ${group}`, group)
    await sender.broadcast(new Uint8Array(MiB), 'large')
    await sender.broadcast('not to be retained', 'kept', { retain: false })
    await sender.clearRetained(['cleared', 'large'])
    for (const group of ['kept', 'one', 'two', 'three']) await sender.broadcast(`of ${group}`, group)
    await sender.stop()
    await relay.stop()
    const again = await network.relay(options)
    expect(Object.keys((await again.stats()).groups).sort()).toEqual(['kept', 'one', 'three', 'two'])
    const late = await network.connect(again, { groups: ['evicted', 'cleared', 'kept'] })
    expect(await take(late, 1)).toEqual(['of kept'])
    await late.stop()
    await again.stop()
    expect(await purgeGroup(dir, 'kept')).toMatchObject({ copies: 1 })
    expect((await inspectStore(dir)).groups.kept).toBe(undefined)
  })
})

describe('A relay whose store is full', () => {
  it('refuses what it cannot keep, gives all that it has accepted, and then takes more, also after a restart', async () => {
    const options = { store: fileStore({ dir, bytesMax: 8 * MiB }) }
    const relay = await network.relay(options)
    const sender = await network.connect(relay)
    const { accepted, failure } = await sendUntilRefused(sender)
    expect(accepted).toBeGreaterThan(50)
    expect(accepted).toBeLessThan(128)
    expect(failure).toMatchObject({ code: 'STORE_FULL', category: 'full', retryable: true })
    expect(await codeOf(() => sender.broadcast(new Uint8Array(100_000), 'g'))).toBe('STORE_FULL')
    await sender.stop()
    await relay.stop()

    const again = await network.relay(options)
    const endpoint = await network.connect(again, { groups: 'g' })
    expect(await codeOf(() => endpoint.produce(new Uint8Array(100_000), 'g'))).toBe('STORE_FULL')
    await endpoint.notify({ g: accepted })
    const objects = await take(endpoint, accepted)
    for (const [number, object] of objects.entries()) expect(isObjectOf(object, number), `object ${number}`).toBe(true)
    const second = await sendUntilRefused(endpoint)
    expect(second.accepted).toBeGreaterThan(50)
  })
})

describe('A folder that a relay cannot use', () => {
  const start = (folder: string) => Relay.start({ port: 0, host, password, store: fileStore({ dir: folder }) })

  it('is refused while another relay of the same process has it, and free when that one was stopped', async () => {
    const relay = await network.relay({ store: fileStore({ dir }) })
    const failure = await failureOf(() => start(dir))
    expect(failure).toBeInstanceOf(StoreError)
    expect(failure).toMatchObject({ code: 'STORE_IN_USE', retryable: true })
    await relay.stop()
    await (await start(dir)).stop()
  })

  it('is refused when it holds something else, or is no folder', async () => {
    await mkdir(dir)
    const file = join(dir, 'letter.txt')
    await writeFile(file, 'Dear relay')
    expect(await codeOf(() => start(dir))).toBe('STORE_FOREIGN')
    expect(await codeOf(() => start(file))).toBe('STORE_FOREIGN')
    expect(await codeOf(() => start(join(file, 'below')))).toBe('STORE_FOREIGN')
  })
})
