import { expect, test } from 'vitest'
import { DedupMemory, PastAnswers, UnconfirmedAnswers } from './dedupMemory.ts'

const nobody = () => undefined
const run = (from: number, to: number, ...memberCounts: number[]) => ({ from, to, memberCounts })

test('remembers what a session was answered, once, whatever the order of the answers was', () => {
  const past = new DedupMemory(nobody)
  past.keep('one', [run(7, 9, 1), run(0, 3, 2)])
  expect(past.take('one').runs).toEqual([run(0, 3, 2), run(7, 9, 1)])
  expect(past.take('one').runs).toEqual([])
  expect(past.take('another').runs).toEqual([])
})

test('finds everything that was answered, also what was answered again in another session', () => {
  const past = new DedupMemory(nobody)
  past.keep('one', [run(0, 100, 1), run(150, 160, 1), run(10, 20, 2), run(90, 120, 3), run(150, 155, 2)])
  const runs = past.take('one').runs
  expect(runs).toEqual([run(0, 100, 1), run(101, 120, 3), run(150, 160, 1)])
  const answers = new PastAnswers(runs, undefined)
  for (const sequence of [0, 15, 50, 100, 101, 120, 150, 160]) expect(answers.find(sequence)).toBeDefined()
  for (const sequence of [121, 149, 161]) expect(answers.find(sequence)).toBe(undefined)
})

test('forgets who ended first when there is too much to remember', () => {
  const forgotten: string[] = []
  const past = new DedupMemory((session) => forgotten.push(session), 150)
  past.keep('first', [run(0, 0), run(2, 2)])
  past.keep('second', [run(0, 0), run(2, 2)])
  expect(past.take('first').runs).toEqual([])
  expect(past.take('second').runs).toHaveLength(2)
  expect(forgotten).toEqual(['first'])
})

test('remembers what was received from a session as long as it is awaited', () => {
  const forgotten: string[] = []
  const past = new DedupMemory((session) => forgotten.push(session))
  const received = { epoch: 2, frames: 7 }
  for (const name of ['claims', 'awaited', 'late', 'answered']) past.keep(name, [], received)
  past.keep('answered', [run(0, 0)], received)
  expect(past.take('claims')).toEqual({ runs: [], received })
  past.forgetReceived((session) => session === 'awaited')
  expect(forgotten).toEqual(['late'])
  expect(past.take('awaited')).toEqual({ runs: [], received })
  expect(past.take('late')).toEqual({ runs: [], received: undefined })
  expect(past.take('answered')).toEqual({ runs: [run(0, 0)], received: undefined })
})

test('bounds the sessions of which something was received', () => {
  const forgotten: string[] = []
  const past = new DedupMemory((session) => forgotten.push(session), 200)
  for (const name of ['one', 'two', 'three', 'four']) past.keep(name, [], { epoch: 1, frames: 1 })
  expect(forgotten).toEqual(['one'])
})

test('remembers of a session with too many answers those of its youngest objects', () => {
  const past = new DedupMemory(nobody)
  past.keep(
    'one',
    Array.from({ length: 10_000 }, (_, index) => run(2 * index, 2 * index)),
  )
  const { runs } = past.take('one')
  expect(runs.length).toBe(Math.floor((64 * 1024) / 13))
  expect(runs.at(-1)).toEqual(run(19_998, 19_998))
})

test('bounds what it remembers in bytes, whatever the number of groups is', () => {
  const past = new DedupMemory(nobody)
  const counts = Array.from({ length: 255 }, () => 7)
  past.keep(
    'one',
    Array.from({ length: 1_000 }, (_, index) => run(2 * index, 2 * index, ...counts)),
  )
  expect(past.take('one').runs.length).toBe(Math.floor((64 * 1024) / (13 + 4 * 255)))
})

test('finds the run that holds a sequence, and none in the gaps', () => {
  const answers = new PastAnswers([run(2, 4, 1), run(7, 7, 2)], undefined)
  const found = Array.from({ length: 9 }, (_, sequence) => answers.find(sequence)?.memberCounts[0] ?? 0)
  expect(found).toEqual([0, 0, 1, 1, 1, 0, 0, 2, 0])
  expect(new PastAnswers([], undefined).find(0)).toBe(undefined)
})

test('needs of what was answered only what the endpoint will send again', () => {
  const runs = [run(0, 9, 1), run(20, 29, 2), run(40, 40, 3)]
  const answers = new PastAnswers(runs, [
    { from: 5, to: 22 },
    { from: 25, to: 25 },
    { from: 28, to: 100 },
  ])
  expect(answers.runs).toEqual([run(5, 9, 1), run(20, 22, 2), run(25, 25, 2), run(28, 29, 2), run(40, 40, 3)])
  expect(new PastAnswers(runs, []).runs).toEqual([])
})

test('forgets what the endpoint knows, in parts as it comes to know', () => {
  const answers = new PastAnswers([run(0, 9, 1), run(20, 29, 2), run(40, 49, 3)], undefined)
  answers.forget({ from: 3, to: 5 })
  answers.forget({ from: 25, to: 44 })
  answers.forget({ from: 100, to: 200 })
  answers.forget({ from: 10, to: 19 })
  expect(answers.runs).toEqual([run(0, 2, 1), run(6, 9, 1), run(20, 24, 2), run(45, 49, 3)])
  answers.forget({ from: 0, to: 49 })
  expect(answers.runs).toEqual([])
})

test('tells a store what changed since it was told, and no more', () => {
  const answers = new UnconfirmedAnswers()
  expect(answers.takeChanges()).toBe(undefined)
  for (const from of [0, 1, 2]) answers.add(run(from, from))
  expect(answers.takeChanges()).toEqual({ forgotten: 0, added: [run(0, 0), run(1, 1), run(2, 2)] })
  expect(answers.takeChanges()).toBe(undefined)
  for (const frame of [1, 2, 3]) answers.sent(frame)
  answers.add(run(3, 3))
  expect(answers.confirmed(2)).toEqual([run(0, 0), run(1, 1)])
  expect(answers.takeChanges()).toEqual({ forgotten: 2, added: [run(3, 3)] })
  // What is known before the store was told need not be told.
  answers.add(run(4, 4))
  answers.sent(4)
  answers.sent(5)
  answers.confirmed(5)
  expect(answers.takeChanges()).toEqual({ forgotten: 2, added: [] })
  expect(answers.runs).toEqual([])
})

test('forgets an answer when the frame that says it is confirmed, and the oldest of far too many', () => {
  const answers = new UnconfirmedAnswers()
  answers.add(run(0, 0))
  answers.add(run(1, 5))
  answers.sent(3)
  answers.sent(7)
  answers.confirmed(2)
  expect(answers.runs).toHaveLength(2)
  answers.confirmed(6)
  expect(answers.runs).toEqual([run(1, 5)])
  answers.confirmed(7)
  expect(answers.runs).toEqual([])
  for (let frame = 8; frame < 40_000; frame++) answers.add(run(frame, frame))
  expect(answers.runs.length).toBeLessThanOrEqual((2 * 64 * 1024) / 13)
  expect(answers.runs.at(-1)).toEqual(run(39_999, 39_999))
  for (let frame = 8; frame < 40_000; frame++) answers.sent(frame)
  answers.confirmed(39_998)
  expect(answers.runs).toEqual([run(39_999, 39_999)])
})

test('does not forget an answer that has not left yet', () => {
  const answers = new UnconfirmedAnswers()
  answers.add(run(0, 0))
  answers.add(run(1, 1))
  answers.sent(3)
  answers.confirmed(1_000)
  expect(answers.runs).toEqual([run(1, 1)])
})
