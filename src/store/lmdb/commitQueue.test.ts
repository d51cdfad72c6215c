import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../clock.fixture.ts'
import { createError, type ObjectRelayError, toObjectRelayError } from '../../errors.ts'
import { CommitQueue } from './commitQueue.ts'

const nothing = 'change'
const MiB = 1_048_576

/** A queue of which each write ends when, and as, the test says. */
class Bench {
  readonly clock: FakeClock = new FakeClock()
  readonly reports: ObjectRelayError[] = []
  readonly writes: { changes: number; end: (error?: Error) => void }[] = []
  readonly queue: CommitQueue<string> = new CommitQueue({
    clock: this.clock,
    write: (changes) =>
      new Promise((resolve, reject) => {
        this.writes.push({ changes: changes.length, end: (error) => (error === undefined ? resolve() : reject(error)) })
      }),
    explain: (thrown) => toObjectRelayError(thrown, 'STORE_FAILED'),
    report: (error) => this.reports.push(error),
  })

  async end(error?: Error): Promise<void> {
    this.writes.at(-1)?.end(error)
    for (let turn = 0; turn < 10; turn++) await undefined
  }
}

const full = (): Error => Object.assign(new Error('no space'), { code: 'ENOSPC' })

async function settled(promise: Promise<void>): Promise<string> {
  const pending = new Promise<string>((resolve) => setImmediate(() => resolve('pending')))
  return await Promise.race([
    promise.then(
      () => 'kept',
      (error: ObjectRelayError) => error.code,
    ),
    pending,
  ])
}

describe('CommitQueue', () => {
  it('gathers what comes while a transaction is under way into the next one', async () => {
    const bench = new Bench()
    const first = bench.queue.add(nothing, 1)
    await settled(first)
    const others = [bench.queue.add(nothing, 1), bench.queue.add(nothing, 1), bench.queue.add(nothing, 1)]
    expect(bench.writes.map(({ changes }) => changes)).toEqual([1])
    await bench.end()
    expect(await settled(first)).toBe('kept')
    expect(bench.writes.map(({ changes }) => changes)).toEqual([1, 3])
    await bench.end()
    expect(await Promise.all(others.map(settled))).toEqual(['kept', 'kept', 'kept'])
  })

  it('bounds how much is in one transaction', async () => {
    const bench = new Bench()
    const commits = [40, 40, 20, 100, 1].map((size) => bench.queue.add(nothing, size * MiB))
    for (let write = 0; write < 5; write++) await bench.end()
    expect(await Promise.all(commits.map(settled))).toEqual(['kept', 'kept', 'kept', 'kept', 'kept'])
    expect(bench.writes.map(({ changes }) => changes)).toEqual([1, 2, 1, 1])
  })

  it('tries again while the disk is full, says so once, and says nothing is kept before it is', async () => {
    const bench = new Bench()
    const commits = [bench.queue.add(nothing, 1), bench.queue.add(nothing, 1)]
    await settled(Promise.all(commits).then(() => undefined))
    for (let attempt = 0; attempt < 5; attempt++) {
      await bench.end(full())
      expect(await settled(commits[0] ?? Promise.resolve())).toBe('pending')
      bench.clock.advance(5_000)
      await settled(Promise.resolve())
    }
    expect(bench.writes).toHaveLength(6)
    expect(bench.reports).toHaveLength(1)
    await bench.end()
    expect(await Promise.all(commits.map(settled))).toEqual(['kept', 'kept'])
  })

  it('keeps nothing any more after any other failure', async () => {
    const bench = new Bench()
    const first = bench.queue.add(nothing, 1)
    await settled(first)
    const second = bench.queue.add(nothing, 1)
    await bench.end(new Error('The disk is broken.'))
    expect(await Promise.all([first, second, bench.queue.add(nothing, 1)].map(settled))).toEqual([
      'STORE_FAILED',
      'STORE_FAILED',
      'STORE_FAILED',
    ])
    expect(bench.writes).toHaveLength(1)
  })

  it('does not wait for a full disk any longer when it ends', async () => {
    const bench = new Bench()
    const commit = bench.queue.add(nothing, 1)
    await settled(commit)
    const ended = bench.queue.ended()
    await bench.end(full())
    await ended
    expect(await settled(commit)).toBe('STORE_FAILED')
    expect(await settled(bench.queue.add(nothing, 1))).not.toBe('kept')
  })

  it('fails what waits when it is told that the store is lost', async () => {
    const bench = new Bench()
    const first = bench.queue.add(nothing, 1)
    await settled(first)
    const second = bench.queue.add(nothing, 1)
    bench.queue.fail(createError('STORE_FAILED', 'The file is gone.'))
    expect(await settled(second)).toBe('STORE_FAILED')
    await bench.end()
    expect(await settled(first)).toBe('STORE_FAILED')
  })
})
