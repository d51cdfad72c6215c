import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileStore } from 'objectrelay'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Party } from '../faults/support/party.ts'
import { countFor, Stage } from '../faults/support/stage.ts'
import { temporaryFolder, useDataFolder } from '../support/folders.ts'

/*
 * Queues that are longer than any memory. By hand, in full size (some minutes, and 21 GiB of disk):
 *
 *   OBJECTRELAY_QUEUE_SMALL=5000000 OBJECTRELAY_QUEUE_LARGE=1280 \
 *     npx vitest run --project system test/scenarios/durableQueue.test.ts
 */
const smallCount = countFor('OBJECTRELAY_QUEUE_SMALL', 150_000)
const largeCount = countFor('OBJECTRELAY_QUEUE_LARGE', 24)

const MiB = 1024 * 1024
const GiB = 1024 * MiB
const smallBytes = 60
const largeBytes = 16 * MiB

/** What a relay has beyond an idle one, whatever waits: objects on their way, caches, garbage that is not collected yet. */
const RELAY_BYTES_MAX = 256 * MiB
/** What it has for each object that waits: 16 bytes in a long queue; when it is started, what it reads the log with as well, until that is collected. */
const WAITING_BYTES_MAX = 64

useDataFolder()
let stage: Stage
beforeEach(async () => {
  stage = await Stage.open()
})
afterEach(() => stage.close())

/** What the program that is run in full size tells. */
function tell(what: string): void {
  if (smallCount > 150_000 || largeCount > 24) console.log(what)
}

/** A relay with a store, and what it takes. */
class StoredQueue {
  readonly #dir: string
  #relay: Party | undefined
  port = 0
  #idleBytes = 0
  startMs = 0

  constructor(dir: string) {
    this.#dir = dir
  }

  get relay(): Party {
    if (this.#relay === undefined) throw new Error('The relay was not started.')
    return this.#relay
  }

  async start(): Promise<void> {
    const relay = stage.party()
    this.#idleBytes = Number(await relay.ask('watchMemory'))
    const limits = { groupBytesMax: 64 * GiB, relayBytesMax: 64 * GiB }
    const beganMs = performance.now()
    const store = fileStore({ dir: this.#dir })
    this.port = await stage.startRelay(relay, { port: this.port, store, limits })
    this.startMs = performance.now() - beganMs
    this.#relay = relay
  }

  /** The most memory that the relay had beyond what an empty process has. */
  async peakBytes(): Promise<number> {
    return Number(await this.relay.ask('peakBytes')) - this.#idleBytes
  }

  async waiting(group: string): Promise<number | undefined> {
    return (await this.relay.relayStats()).groups[group]?.waiting
  }

  /** Bytes of the files of the store, as far as they take room. */
  async diskBytes(): Promise<number> {
    const entries = await readdir(this.#dir, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    // Files may go meanwhile.
    const sizes = await Promise.all(
      files.map((file) =>
        stat(file).then(
          ({ blocks }) => blocks * 512,
          () => 0,
        ),
      ),
    )
    return sizes.reduce((sum, size) => sum + size, 0)
  }
}

describe.each([
  {
    what: 'small objects',
    group: 'small',
    count: smallCount,
    bytes: smallBytes,
    outstandingMax: 5_000,
    storeBytesMax: 8 * MiB,
  },
  {
    what: 'large objects',
    group: 'large',
    count: largeCount,
    bytes: largeBytes,
    outstandingMax: 4,
    storeBytesMax: 64 * MiB,
  },
])('A queue of many $what that nobody consumes', ({ what, group, count, bytes, outstandingMax, storeBytesMax }) => {
  const order = { name: 'program', group, to: count, bytes }
  const perSecond = (ms: number) => `${Math.round((count / ms) * 1_000)}/s`

  it('is on the disk, survives the relay, and comes out as it went in, within bounded memory and in the same room again', {
    timeout: 60_000 + count * (bytes > MiB ? 500 : 0.3),
  }, async () => {
    const queue = new StoredQueue(join(await temporaryFolder(), 'store'))
    await queue.start()
    // What is on its way to a member, or lies in its inbox, is in the relay's memory: some 500 bytes for each small object.
    const limits = { inboxBytesMax: 8 * MiB }
    const program = await stage.endpoint('program', { port: queue.port, groups: group, limits })
    const bound = RELAY_BYTES_MAX + count * WAITING_BYTES_MAX
    const diskBytes: number[] = []
    for (const round of ['kill', 'stop'] as const) {
      const filled = await program.ask('fill', { ...order, outstandingMax })
      expect(await queue.waiting(group)).toBe(count)
      const fillBytes = await queue.peakBytes()
      const { storeBytes } = (await queue.relay.relayStats()).memory
      expect(storeBytes, 'that the store has in memory').toBeLessThan(storeBytesMax)
      diskBytes.push(await queue.diskBytes())
      if (round === 'stop') await queue.relay.stopRelay(1_000)
      await queue.relay.kill()
      await queue.start()
      expect(await queue.waiting(group), 'that a relay has which was started again').toBe(count)
      const startBytes = await queue.peakBytes()
      const drained = await program.ask('drain', order)
      const drainBytes = await queue.peakBytes()
      const [{ ms: fillMs }, { ms: drainMs }] = [filled, drained] as [{ ms: number }, { ms: number }] // of volume.js
      tell(
        `${count} ${what}: in ${perSecond(fillMs)} with ${mebibytes(fillBytes)}, back after ${Math.round(queue.startMs)} ms with ${mebibytes(startBytes)}, ` +
          `out ${perSecond(drainMs)} with ${mebibytes(drainBytes)}; disk ${mebibytes(diskBytes.at(-1) ?? 0)}, store's memory ${mebibytes(storeBytes)}`,
      )
      expect(fillBytes, 'memory while it was filled').toBeLessThan(bound)
      expect(drainBytes, 'memory while it was emptied').toBeLessThan(bound)
      expect((await queue.waiting(group)) ?? 0).toBe(0)
    }
    const [first = 0, second = 0] = diskBytes
    expect(first).toBeGreaterThan(count * bytes)
    expect(second, 'room on the disk in the second round').toBeLessThan(1.3 * first + 16 * MiB)
    await program.stopEndpoint('program', 1_000)
  })
})

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / MiB)} MiB`
}
