import { describe, expect, it } from 'vitest'
import { FrameType } from '../../wire/frameTypes.ts'
import { encodeRoute, OBJECT_HEAD_BYTES, stampAttempt, writeObjectHead } from '../../wire/objectHeader.ts'
import { Inbox } from './inbox.ts'
import { InboxRun } from './inboxRun.ts'

const route = encodeRoute({ kind: 'produce', groups: ['g'], copies: [1] })
const bodyOffset = OBJECT_HEAD_BYTES + route.destinations.length

/** A run of objects whose bodies are of these lengths; the attempt of each is its place. */
function runOf(bodies: number[], firstLease: number): InboxRun {
  const frames = Buffer.concat(
    bodies.map((bytes, index) => {
      const frame = Buffer.alloc(bodyOffset + bytes, index)
      writeObjectHead(frame, 0, FrameType.OBJECT, route, index, 1_000 + index)
      stampAttempt(frame, 0, index)
      frame.writeUInt32LE(frame.length)
      return frame
    }),
  )
  const kept = { frames, start: 0, bodies: frames, end: frames.length, segments: undefined, wireBytes: frames.length }
  const run = new InboxRun(kept, bodyOffset, 'g', bodies.length)
  run.nextLease = firstLease
  run.epoch = 3
  return run
}

describe('The inbox', () => {
  it('gives the objects of its runs one by one, each with what surrounds it', () => {
    const inbox = new Inbox()
    inbox.push(runOf([10, 20], 5))
    inbox.push(runOf([30], 9))
    expect(inbox.objects).toBe(3)
    expect(inbox.bytes).toBe(3 * bodyOffset + 60)
    const entries = [inbox.take(), inbox.take(), inbox.take()]
    expect(inbox.take()).toBeUndefined()
    expect(entries.map((entry) => (entry === undefined ? 0 : entry.end - entry.start))).toEqual([10, 20, 30])
    expect(entries.map((entry) => entry?.leaseNumber)).toEqual([5, 6, 9])
    expect(entries.map((entry) => entry?.attempt)).toEqual([0, 1, 0])
    expect(entries.map((entry) => entry?.sentAtMs)).toEqual([1_000, 1_001, 1_000])
    expect(entries.map((entry) => entry?.epoch)).toEqual([3, 3, 3])
    expect([inbox.objects, inbox.bytes, inbox.oldest]).toEqual([0, 0, undefined])
  })

  it('takes an object back in front of the run that it came from', () => {
    const inbox = new Inbox()
    inbox.push(runOf([10, 20, 30], 0))
    const [first, second] = [inbox.take(), inbox.take()]
    if (second !== undefined) inbox.putBack(second)
    if (first !== undefined) inbox.putBack(first)
    expect([inbox.objects, inbox.bytes]).toEqual([3, 3 * bodyOffset + 60])
    const again = [inbox.take(), inbox.take(), inbox.take()]
    expect(again.map((entry) => entry?.leaseNumber)).toEqual([0, 1, 2])
    expect(again.map((entry) => (entry === undefined ? 0 : entry.end - entry.start))).toEqual([10, 20, 30])
    expect(again[1]?.attempt).toBe(1)
  })

  it('lets a run that was begun leave from between others', () => {
    const inbox = new Inbox()
    const runs = [runOf([1], 0), runOf([1, 1, 1], 1), runOf([1], 4)]
    for (const run of runs) inbox.push(run)
    inbox.take()
    inbox.take()
    const [, middle] = runs
    if (middle !== undefined) inbox.remove(middle)
    expect(inbox.objects).toBe(1)
    expect(inbox.bytes).toBe(bodyOffset + 1)
    expect(inbox.take()?.leaseNumber).toBe(4)
  })
})
