import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { arbitrarySteps, happen, type Step } from '../storeHistory.fixture.ts'
import { type Knowledge, StoreWitness } from '../storeWitness.fixture.ts'
import { COMMITS_MAX } from './logDisk.ts'
import { type OpenedLog, openLog } from './openLog.fixture.ts'

/** What happens in one run of a relay, and how it ends. */
interface Run {
  readonly steps: readonly Step[]
  /** After so many steps each, a commit is asked for. */
  readonly commitEvery: number
  /** After so many steps each, the commit under way is complete. */
  readonly completeEvery: number
  /** How many of the commits that are under way at the end had come to the disk. */
  readonly written: number
  /** So little waste is worth moving things together. */
  readonly wasteBytesMax: number
}

const arbitraryRun: fc.Arbitrary<Run> = fc.record({
  steps: arbitrarySteps(200),
  commitEvery: fc.integer({ min: 1, max: 30 }),
  completeEvery: fc.integer({ min: 1, max: 12 }),
  written: fc.nat(COMMITS_MAX),
  wasteBytesMax: fc.constantFrom(100, 2_000, 100_000),
})

/**
 * Lets a run happen. A commit holds what is told until it begins; so it is noted when the disk is given it. Returns what was known when the
 * last commit was asked for that is safe, and then of each that is under way.
 */
async function play({ store, disk }: OpenedLog, witness: StoreWitness, run: Run): Promise<Knowledge[]> {
  const known = [witness.knowledge]
  let commits = disk.commits
  const note = (): void => {
    for (; commits < disk.commits; commits++) known.push(witness.knowledge)
    known.splice(0, known.length - 1 - disk.commitsUnderWay)
  }
  for (const [index, step] of run.steps.entries()) {
    happen(witness, step)
    if (index % run.commitEvery === 0) {
      const kept = store.commit()
      note()
      if (kept === undefined && !disk.isCommitting) expect([witness.knowledge]).toEqual(known)
    }
    if (index % run.completeEvery !== 0) continue
    disk.complete()
    note()
    // Each commit may begin another one, and what is moved waits for reads.
    for (let turns = 0; turns < 4; turns++) {
      await turn()
      note()
    }
  }
  return known
}

describe('The log, whatever happens', () => {
  it('has after a crash exactly what was committed, over several runs, while things are moved', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(arbitraryRun, { minLength: 1, maxLength: 4 }), async (runs) => {
        let log = await openLog()
        let witness = new StoreWitness(log.store)
        for (const run of runs) {
          log = await openLog(log.disk.crash(), undefined, 'the-relay', run.wasteBytesMax)
          witness = await StoreWitness.recover(log.store)
          const known = await play(log, witness, run)
          const written = Math.min(run.written, log.disk.commitsUnderWay)
          log = await openLog(log.disk.crash(written))
          witness = await StoreWitness.recover(log.store)
          expect(witness.knowledge).toEqual(known[written])
        }
      }),
      { numRuns: 60 },
    )
  })
})

/** Lets everything that waits for a promise run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
