import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ObjectRelayError } from '../../errors.ts'
import { arbitrarySteps, happen, type Step } from '../storeHistory.fixture.ts'
import { type Knowledge, StoreWitness } from '../storeWitness.fixture.ts'
import { MemoryDisk } from './memoryDisk.fixture.ts'
import { committed, type OpenedLog, openLog } from './openLog.fixture.ts'

/** What happens in one run of a relay, and how it ends. */
interface Run {
  readonly steps: readonly Step[]
  /** After so many steps each, a commit is asked for. */
  readonly commitEvery: number
  /** Of the commits that were asked for, so many are complete soon. */
  readonly completeEvery: number
  /** Of those that are under way at the end, this part is written. */
  readonly writtenPart: number
}

const arbitraryRun: fc.Arbitrary<Run> = fc.record({
  steps: arbitrarySteps(200),
  commitEvery: fc.integer({ min: 1, max: 30 }),
  completeEvery: fc.integer({ min: 1, max: 12 }),
  writtenPart: fc.double({ min: 0, max: 1, noNaN: true }),
})

/** Lets a run happen; returns what should be found when so many commits have come to the disk as the position says. */
async function play({ store, disk }: OpenedLog, witness: StoreWitness, run: Run): Promise<Knowledge[]> {
  const afterCommit = [witness.knowledge]
  const told: number[] = []
  for (const [index, step] of run.steps.entries()) {
    happen(witness, step)
    if (index % run.commitEvery === 0) {
      const kept = store.commit()
      if (disk.commits === afterCommit.length) {
        const number = afterCommit.push(witness.knowledge) - 1
        kept?.then(() => told.push(number), ignore)
      }
      if (kept === undefined) expect(witness.knowledge).toEqual(afterCommit.at(-1))
    }
    if (index % run.completeEvery !== 0) continue
    disk.complete(step[2] % 3)
    await turn()
    expect(told).toEqual(afterCommit.slice(1, 1 + disk.commits - disk.waitingCommits).map((_, each) => each + 1))
  }
  return afterCommit
}

describe('The log, whatever happens', () => {
  it('has after a crash exactly what was committed, over several runs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(arbitraryRun, { minLength: 1, maxLength: 4 }), async (runs) => {
        let log = await openLog()
        let witness = new StoreWitness(log.store)
        for (const run of runs) {
          const afterCommit = await play(log, witness, run)
          const { commits, waitingCommits } = log.disk
          const written = Math.floor(waitingCommits * run.writtenPart)
          log = await openLog(log.disk.crash(written))
          witness = StoreWitness.recover(log.store)
          expect(witness.knowledge).toEqual(afterCommit[commits - waitingCommits + written])
        }
      }),
      { numRuns: 60 },
    )
  })

  it('is opened as it was, or not at all, when something on the disk was damaged or is an old one', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrarySteps(150), fc.nat(), fc.nat(), fc.nat(), async (steps, kind, where, bit) => {
        const log = await openLog()
        const witness = new StoreWitness(log.store)
        let older = new MemoryDisk(log.files)
        for (const [index, step] of steps.entries()) {
          happen(witness, step)
          if (index % 10 !== 0) continue
          await committed(log)
          if (index === (where % 15) * 10) older = new MemoryDisk(log.files, undefined, log.disk)
        }
        await committed(log)
        const disk = log.disk.crash()
        damage(disk, older, kind, where, bit)
        const outcome = await knowledgeOf(disk)
        if (outcome instanceof ObjectRelayError) expect(outcome.code).toMatch(/^STORE_(CORRUPT|VERSION|FOREIGN)$/)
        else expect(outcome).toEqual(witness.knowledge)
      }),
      { numRuns: 150 },
    )
  })
})

function ignore(): void {}

/** Lets everything that waits for a promise run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** What is found on a disk, or why it is not opened. */
async function knowledgeOf(disk: MemoryDisk): Promise<Knowledge | ObjectRelayError> {
  try {
    return StoreWitness.recover((await openLog(disk)).store).knowledge
  } catch (error) {
    if (error instanceof ObjectRelayError) return error
    throw error
  }
}

/** One piece of what is on a disk: a segment or a value. */
interface Piece {
  readonly bytes: Buffer
  readonly older: Buffer | undefined
  set(bytes: Buffer | undefined): void
}

function piecesOf<Key>(all: Map<Key, Buffer>, older: ReadonlyMap<Key, Buffer>): Piece[] {
  return [...all].map(([key, bytes]) => ({
    bytes,
    older: older.get(key),
    set: (changed) => void (changed === undefined ? all.delete(key) : all.set(key, changed)),
  }))
}

function damage({ segments, named }: MemoryDisk, older: MemoryDisk, kind: number, where: number, bit: number): void {
  const pieces = [...piecesOf(segments, older.segments), ...piecesOf(named, older.named)]
  const piece = pieces[where % Math.max(1, pieces.length)]
  if (piece === undefined) return
  const { bytes } = piece
  const at = bit % (bytes.length * 8)
  if (kind % 6 === 0) piece.set(bytes.subarray(0, at >> 3))
  else if (kind % 6 === 1) piece.set(undefined)
  else if (kind % 6 === 2) piece.set(Buffer.concat([bytes, Buffer.of(bit)]))
  else if (kind % 6 === 3) piece.set(pieces[bit % pieces.length]?.bytes)
  else if (kind % 6 === 4) piece.set(piece.older)
  else bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (1 << (at & 7))
}
