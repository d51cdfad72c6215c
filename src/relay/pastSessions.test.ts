import { expect, test } from 'vitest'
import { findRun, PastSessions, UnconfirmedAnswers } from './pastSessions.ts'

const nobody = () => undefined
const run = (from: number, to: number, ...memberCounts: number[]) => ({ from, to, memberCounts })

test('remembers what a session was answered, once, whatever the order of the answers was', () => {
  const past = new PastSessions(nobody)
  past.keep('one', [run(7, 9, 1), run(0, 3, 2)])
  expect(past.take('one').runs).toEqual([run(0, 3, 2), run(7, 9, 1)])
  expect(past.take('one').runs).toEqual([])
  expect(past.take('another').runs).toEqual([])
})

test('finds everything that was answered, also what was answered again in another session', () => {
  const past = new PastSessions(nobody)
  past.keep('one', [run(0, 100, 1), run(150, 160, 1), run(10, 20, 2), run(90, 120, 3), run(150, 155, 2)])
  const runs = past.take('one').runs
  expect(runs).toEqual([run(0, 100, 1), run(101, 120, 3), run(150, 160, 1)])
  for (const sequence of [0, 15, 50, 100, 101, 120, 150, 160]) expect(findRun(runs, sequence)).toBeDefined()
  for (const sequence of [121, 149, 161]) expect(findRun(runs, sequence)).toBe(undefined)
})

test('forgets who ended first when there is too much to remember', () => {
  const forgotten: string[] = []
  const past = new PastSessions((session) => forgotten.push(session), 4)
  past.keep('first', [run(0, 0), run(2, 2)])
  past.keep('second', [run(0, 0), run(2, 2)])
  expect(past.take('first').runs).toEqual([])
  expect(past.take('second').runs).toHaveLength(2)
  expect(forgotten).toEqual(['first'])
})

test('remembers what was heard of a session as long as it is awaited', () => {
  const forgotten: string[] = []
  const past = new PastSessions((session) => forgotten.push(session))
  const heard = { epoch: 2, frames: 7 }
  for (const name of ['claims', 'awaited', 'late', 'answered']) past.keep(name, [], heard)
  past.keep('answered', [run(0, 0)], heard)
  expect(past.take('claims')).toEqual({ runs: [], heard })
  past.forgetHeard((session) => session === 'awaited')
  expect(forgotten).toEqual(['late'])
  expect(past.take('awaited')).toEqual({ runs: [], heard })
  expect(past.take('late')).toEqual({ runs: [], heard: undefined })
  expect(past.take('answered')).toEqual({ runs: [run(0, 0)], heard: undefined })
})

test('bounds the sessions of which something was heard', () => {
  const forgotten: string[] = []
  const past = new PastSessions((session) => forgotten.push(session), 3)
  for (const name of ['one', 'two', 'three', 'four']) past.keep(name, [], { epoch: 1, frames: 1 })
  expect(forgotten).toEqual(['one'])
})

test('remembers of a session with too many answers those of its youngest objects', () => {
  const past = new PastSessions(nobody)
  past.keep(
    'one',
    Array.from({ length: 1_500 }, (_, index) => run(2 * index, 2 * index)),
  )
  expect(past.take('one').runs).toMatchObject({ length: 1_000, 0: { from: 1_000 } })
})

test('finds the run that holds a sequence, and none in the gaps', () => {
  const runs = [run(2, 4, 1), run(7, 7, 2)]
  const found = Array.from({ length: 9 }, (_, sequence) => findRun(runs, sequence)?.memberCounts[0] ?? 0)
  expect(found).toEqual([0, 0, 1, 1, 1, 0, 0, 2, 0])
  expect(findRun([], 0)).toBe(undefined)
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
  for (let frame = 8; frame < 10_000; frame++) answers.add(run(frame, frame))
  expect(answers.runs.length).toBeLessThanOrEqual(2_000)
  expect(answers.runs.at(-1)).toEqual(run(9_999, 9_999))
  for (let frame = 8; frame < 10_000; frame++) answers.sent(frame)
  answers.confirmed(9_998)
  expect(answers.runs).toEqual([run(9_999, 9_999)])
})

test('does not forget an answer that has not left yet', () => {
  const answers = new UnconfirmedAnswers()
  answers.add(run(0, 0))
  answers.add(run(1, 1))
  answers.sent(3)
  answers.confirmed(1_000)
  expect(answers.runs).toEqual([run(1, 1)])
})
