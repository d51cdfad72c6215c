import { describe, expect, it } from 'vitest'
import type { AcceptedRun, RememberedSession } from '../store.ts'
import { committed, type OpenedLog, openLog } from './openLog.fixture.ts'

const run = (from: number, ...memberCounts: number[]): AcceptedRun => ({ from, to: from, memberCounts })
const noChange = { isPastKnown: false, forgotten: 0, added: [], received: undefined }

function bytesOf({ disk }: OpenedLog): number {
  return [...disk.segments.values()].reduce((sum, { length }) => sum + length, 0)
}

/** The relay is killed and started again; what it is told of sessions. */
async function reopened(log: OpenedLog): Promise<{ again: OpenedLog; memories: Record<string, RememberedSession> }> {
  const memories: Record<string, RememberedSession> = {}
  const again = await openLog(log.disk.crash(), log)
  again.store.recover({
    groupSet: () => undefined,
    place: () => undefined,
    remembered: (session, runs, received) => {
      memories[session] = { runs, received }
    },
  })
  return { again, memories }
}

describe('What the log remembers of a session', () => {
  it('is after a restart what was told, changes included', async () => {
    const log = await openLog()
    const { store } = log
    store.rememberSession('one', { runs: [run(0, 1), run(2, 2)], received: { epoch: 1, frames: 7 } })
    store.rememberSession('two', { runs: [run(5)], received: undefined })
    const added = Array.from({ length: 200 }, (_, index) => run(10 + index, index))
    for (const one of added) store.changeSession('one', { ...noChange, added: [one] })
    store.changeSession('one', { ...noChange, forgotten: 150, received: { epoch: 1, frames: 9 } })
    await committed(log)
    const received = { epoch: 1, frames: 9 }
    const { again, memories } = await reopened(log)
    expect(memories).toEqual({
      one: { runs: [run(0, 1), run(2, 2), ...added.slice(150)], received },
      two: { runs: [run(5)], received: undefined },
    })
    again.store.rememberSession('one', { runs: [run(7)], received })
    again.store.changeSession('one', { ...noChange, added: [run(8), run(9)] })
    again.store.rememberSession('two', { runs: [], received: undefined })
    await committed(again)
    const later = await reopened(again)
    expect(later.memories).toEqual({ one: { runs: [run(7), run(8), run(9)], received } })
    later.again.store.rememberSession('one', { runs: [run(7)], received })
    later.again.store.changeSession('one', { ...noChange, isPastKnown: true })
    await committed(later.again)
    expect((await reopened(later.again)).memories).toEqual({ one: { runs: [], received } })
  })

  it('costs a commit what has changed, however much is remembered', async () => {
    const log = await openLog()
    const counts = Array.from({ length: 50 }, (_, index) => index)
    log.store.rememberSession('one', {
      runs: Array.from({ length: 300 }, (_, index) => run(index, ...counts)),
      received: undefined,
    })
    await committed(log)
    const before = bytesOf(log)
    for (let commit = 0; commit < 100; commit++) {
      const received = { epoch: 1, frames: commit }
      log.store.changeSession('one', { ...noChange, added: [run(1_000 + commit, ...counts)], received })
      await committed(log)
    }
    // The whole would be 64 KiB each time.
    expect((bytesOf(log) - before) / 100).toBeLessThan(1_024)
  })
})
