import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ObjectRelayError } from '../../errors.ts'
import { BLOCK_HEAD_BYTES, SEGMENT_BYTES_MAX, writeBlockHead } from '../log/blockFormat.ts'
import { type BlockBytes, COMMITS_MAX, type LogChange, type LogEnd, type RecoveredEnd } from '../log/logDisk.ts'
import type { FileDisk } from './fileDisk.ts'
import { SimulatedFolder } from './openDisk.fixture.ts'

/** Makes blocks that follow each other. */
class Blocks {
  end: LogEnd
  segment: number
  #offset = 0
  readonly #key: number

  constructor(key: number, end: RecoveredEnd | undefined, segment: number) {
    this.#key = key
    this.end = { commit: end?.commit ?? 0, check: end?.check ?? 0 }
    this.segment = segment
  }

  /** A commit with a block of each size; a new segment begins where one does not fit, or a size is odd. */
  commit(sizes: readonly number[], first: number): LogChange {
    const blocks = sizes.map((size, index): BlockBytes => {
      const length = BLOCK_HEAD_BYTES + size
      if (this.#offset + length > SEGMENT_BYTES_MAX || (size % 2 === 1 && this.#offset > 0)) {
        this.segment++
        this.#offset = 0
      }
      const bytes = Buffer.alloc(length, (size % 251) + 1)
      const isLast = index === sizes.length - 1
      const { segment } = this
      const offset = this.#offset
      const { commit, check: previous } = this.end
      const head = { isLast, segment, offset, framesEnd: length, previous, first, commit: commit + 1 }
      this.end = { commit, check: writeBlockHead(bytes, head, this.#key) }
      this.#offset += length
      return { segment, offset, bytes }
    })
    this.end = { ...this.end, commit: this.end.commit + 1 }
    return { blocks, first }
  }
}

interface Opened {
  readonly disk: FileDisk
  readonly blocks: BlockBytes[]
  readonly end: RecoveredEnd | undefined
}

async function settled<T>(folder: SimulatedFolder, promise: Promise<T>): Promise<T> {
  let isSettled = false
  promise.then(
    () => {
      isSettled = true
    },
    () => {
      isSettled = true
    },
  )
  for (let turns = 0; !isSettled && turns < 20_000; turns++) {
    folder.clock.advance(1)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return promise
}

async function open(folder: SimulatedFolder, options?: { bytesMax?: number }): Promise<Opened> {
  const disk = folder.open(options)
  const blocks: BlockBytes[] = []
  const end = await settled(
    folder,
    disk.recover((block) => void blocks.push({ ...block, bytes: Buffer.from(block.bytes) })),
  )
  return { disk, blocks, end }
}

const bytesOf = (blocks: readonly BlockBytes[]): string =>
  blocks.map(({ segment, offset, bytes }) => `${segment}:${offset}:${bytes.length}:${bytes.readUInt32LE(32)}`).join(' ')

const arbitrarySizes = fc.array(fc.nat(60_000), { minLength: 1, maxLength: 4 })
/** What becomes of a write that was not synced: nothing, its beginning, its end, or all of it. */
const arbitraryKept = fc.array(fc.constantFrom(0, 0.3, 0.999, 1, -0.5, -0.01), { minLength: 1, maxLength: 12 })

describe('The files of a log', () => {
  it('have all commits that were safe, and of those under way the first ones or none, whenever the machine stops', async () => {
    const arbitraryLife = fc.record({
      commits: fc.array(arbitrarySizes, { minLength: 1, maxLength: 8 }),
      stopAfterMs: fc.nat(40),
      kept: arbitraryKept,
      isClosed: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(arbitraryLife, { minLength: 1, maxLength: 5 }), async (lives) => {
        let folder = new SimulatedFolder()
        let safe: BlockBytes[] = []
        let underWay: (readonly BlockBytes[])[] = []
        const isKept = (blocks: readonly BlockBytes[]): void => {
          const all = [safe]
          for (const added of underWay) all.push([...(all.at(-1) ?? []), ...added])
          expect(all.map(bytesOf)).toContain(bytesOf(blocks))
        }
        for (const { commits, stopAfterMs, kept, isClosed } of lives) {
          const { disk, blocks, end } = await open(folder, { bytesMax: 8_000_000 })
          isKept(blocks)
          safe = blocks
          underWay = []
          const made = new Blocks(folder.key, end, (blocks.at(-1)?.segment ?? 0) + 1)
          const all = (async () => {
            const begun: Promise<void>[] = []
            for (const sizes of commits) {
              if (underWay.length === COMMITS_MAX) await begun.at(-COMMITS_MAX)
              const change = made.commit(sizes, 1)
              underWay.push(change.blocks)
              begun.push(
                disk.commit(change).then(() => {
                  expect(underWay.shift()).toBe(change.blocks)
                  safe = [...safe, ...change.blocks]
                }),
              )
            }
            await Promise.all(begun)
          })()
          if (isClosed) {
            await settled(folder, all)
            await settled(folder, disk.close(made.end))
            continue
          }
          for (let ms = 0; ms < stopAfterMs; ms++) {
            folder.clock.advance(1)
            await new Promise((resolve) => setImmediate(resolve))
          }
          let index = 0
          folder = folder.crashed(() => kept[index++ % kept.length] ?? 0)
        }
        const { blocks } = await open(folder)
        isKept(blocks)
      }),
      { numRuns: 60 },
    )
  })

  it('are read as they were, or refused, when anything in them was changed after they were closed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(arbitrarySizes, { minLength: 1, maxLength: 6 }),
        fc.array(fc.tuple(fc.constantFrom('flip', 'cut', 'zero', 'remove', 'swap', 'add'), fc.nat(), fc.nat()), {
          minLength: 1,
          maxLength: 2,
        }),
        async (commits, damages) => {
          const folder = new SimulatedFolder()
          for (let life = 0; life < 2; life++) {
            const { disk, blocks, end } = await open(folder, { bytesMax: 8_000_000 })
            const made = new Blocks(folder.key, end, (blocks.at(-1)?.segment ?? 0) + 1)
            for (const sizes of commits) await settled(folder, disk.commit(made.commit(sizes, 1)))
            await settled(folder, disk.close(made.end))
          }
          const { blocks: whole } = await open(folder)
          for (const [kind, which, where] of damages) damage(folder, kind, which, where)
          const outcome = await open(folder).catch((error: Error) => error)
          if (outcome instanceof ObjectRelayError) expect(outcome.code).toMatch(/^STORE_(CORRUPT|VERSION)$/)
          else if (outcome instanceof Error) throw outcome
          else expect(bytesOf(outcome.blocks)).toBe(bytesOf(whole))
        },
      ),
      { numRuns: 200 },
    )
  })

  it('never count what an owner adds that was deposed, and tell it so', async () => {
    const folder = new SimulatedFolder()
    const before = await open(folder)
    const made = new Blocks(folder.key, before.end, 1)
    await settled(folder, before.disk.commit(made.commit([100], 1)))
    const after = await open(folder)
    await expect(settled(folder, before.disk.commit(made.commit([200, 300], 1)))).rejects.toMatchObject({
      code: 'STORE_IN_USE',
    })
    const next = new Blocks(folder.key, after.end, 2)
    await settled(folder, after.disk.commit(next.commit([400], 1)))
    const last = await open(folder)
    expect(last.blocks.map(({ bytes }) => bytes.length - BLOCK_HEAD_BYTES)).toEqual([100, 400])
  })
})

function damage(folder: SimulatedFolder, kind: string, which: number, where: number): void {
  const names = [...folder.log.files.keys()]
  const name = names[which % names.length] ?? ''
  const bytes = Buffer.from(folder.log.files.get(name) ?? Buffer.alloc(0))
  const at = where % Math.max(1, bytes.length)
  if (kind === 'flip') bytes[at] = (bytes[at] ?? 0) ^ (1 << (where % 8))
  if (kind === 'zero') bytes.fill(0, at, at + 4096)
  if (kind === 'cut') folder.log.files.set(name, bytes.subarray(0, at))
  else if (kind === 'add') folder.log.files.set(name, Buffer.concat([bytes, bytes.subarray(0, at)]))
  else if (kind === 'remove') folder.log.files.delete(name)
  else if (kind === 'swap') folder.log.files.set(name, folder.log.files.get(names[where % names.length] ?? '') ?? bytes)
  else folder.log.files.set(name, bytes)
}
