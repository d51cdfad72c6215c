import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameReader } from '../../wire/frameReader.ts'
import { FrameType } from '../../wire/frameTypes.ts'
import {
  encodeRoute,
  encodeStreamBegin,
  OBJECT_HEAD_BYTES,
  type Route,
  readSequence,
  writeObjectHead,
} from '../../wire/objectHeader.ts'
import { PartsSource } from '../../wire/outgoingStream.ts'
import { ReliableChannel } from '../../wire/reliableChannel.ts'
import { Outbox } from './outbox.ts'

const ROOM = 1_000_000

/** An outbox with a channel whose frames are noted by their sequences. */
class Sender {
  /** How often a large object was sent to its end. */
  ended = 0
  readonly outbox = new Outbox(() => this.ended++)
  channel: ReliableChannel
  #sequence = 0
  #sent: number[] = []
  readonly #reader = new FrameReader({
    frame: (type, buffer, start) => {
      if (type >= FrameType.OBJECT) this.#sent.push(readSequence(buffer, start))
    },
    chunk: () => undefined,
  })

  constructor({ room = ROOM, streamsMax = 2 } = {}) {
    this.channel = new ReliableChannel(ROOM, room)
    this.begin(room, streamsMax)
  }

  begin(room: number, streamsMax: number): void {
    this.channel = new ReliableChannel(ROOM, room)
    this.channel.attach({ write: (bytes) => this.#reader.push(bytes), pendingBytes: 0 }, 0)
    this.outbox.restart(streamsMax)
  }

  add(
    kind: Route['kind'],
    groups: string | readonly string[],
    { bytes = 10, large = false, isReplaceable = false } = {},
  ): number {
    const names = typeof groups === 'string' ? [groups] : groups
    const route = encodeRoute({ kind, groups: names, copies: names.map(() => 1) })
    const sequence = this.#sequence++
    const id = 100 + sequence
    if (large) {
      const source = new PartsSource([Buffer.alloc(bytes)])
      const parts = [new ArrayBuffer(10), new ArrayBuffer(bytes)]
      this.outbox.addLarge(encodeStreamBegin(route, sequence, 0, id, bytes), { id, isReplaceable, source, parts })
      return sequence
    }
    const frame = Buffer.alloc(OBJECT_HEAD_BYTES + route.destinations.length + bytes)
    writeObjectHead(frame, 0, FrameType.OBJECT, route, sequence, 0)
    frame.writeUInt32LE(frame.length)
    this.outbox.addFrames(frame, 0, frame.length, this.channel)
    return sequence
  }

  /** A new link for the same session: the sequences that leave again. */
  resume(): number[] {
    this.#sent = []
    this.channel.attach(
      { write: (bytes) => this.#reader.push(bytes), pendingBytes: 0 },
      this.channel.log.confirmedFrames,
    )
    this.channel.pump()
    return this.#sent
  }

  /** The sequences that leave now. */
  pump(): number[] {
    this.#sent = []
    this.outbox.pump(this.channel)
    this.channel.pump()
    return this.#sent
  }
}

/** What an outbox does, in simple words, beside one. */
class OutboxModel {
  readonly sender = new Sender({ room: 100_000_000 })
  /** The groups of each object that was not answered, by its sequence. */
  readonly unanswered = new Map<number, readonly string[]>()
  readonly #blocked = new Set<string>()
  /** Since the session began. */
  readonly #sent = new Set<number>()

  add(groups: readonly string[], large: boolean): void {
    this.unanswered.set(this.sender.add('produce', groups, { large, bytes: large ? 70_000 : 30_000 }), groups)
  }

  /** As a relay does: only what waits for room is blocked. */
  block(group: string): void {
    if (this.#blocked.has(group) || ![...this.unanswered.values()].some((groups) => groups.includes(group))) return
    this.#blocked.add(group)
    this.sender.outbox.block(group)
  }

  unblock(group: string): void {
    if (this.#blocked.delete(group)) this.sender.outbox.unblock(group)
  }

  pump(): void {
    for (const sequence of this.sender.pump()) {
      const groups = this.unanswered.get(sequence) ?? []
      expect(groups).not.toEqual([])
      expect(groups.filter((group) => this.#blocked.has(group))).toEqual([])
      const overtaken = [...this.unanswered].filter(
        ([other, theirs]) => other < sequence && !this.#sent.has(other) && theirs.some((name) => groups.includes(name)),
      )
      expect(overtaken).toEqual([])
      expect(this.#sent.has(sequence)).toBe(false)
      this.#sent.add(sequence)
    }
  }

  /** Answers one of those that were sent, and confirms what was sent now and then; returns whether there was one. */
  answer(which: number): boolean {
    const answerable = [...this.unanswered.keys()].filter((sequence) => this.#sent.has(sequence))
    const sequence = answerable[which % Math.max(1, answerable.length)]
    if (sequence === undefined) return false
    this.unanswered.delete(sequence)
    this.sender.outbox.resolve(sequence, sequence, this.sender.channel)
    const { log } = this.sender.channel
    if (which % 2 === 0) this.sender.channel.confirmed(log.appendedFrames, 100_000_000)
    return true
  }

  restart(): void {
    this.#sent.clear()
    this.#blocked.clear()
    this.sender.begin(100_000_000, 2)
  }

  check(): void {
    const { outbox } = this.sender
    expect(outbox.unresolved).toBe(this.unanswered.size)
    const kept = [...outbox.unresolvedObjects()].map(({ sequence, buffer, start }) => {
      expect(readSequence(buffer, start)).toBe(sequence)
      return sequence
    })
    expect(kept).toEqual([...this.unanswered.keys()])
  }
}

describe('The outbox', () => {
  it('sends in the order of the calls', () => {
    const sender = new Sender()
    for (const group of ['a', 'b', 'a']) sender.add('produce', group)
    expect(sender.pump()).toEqual([0, 1, 2])
    expect(sender.outbox.unresolved).toBe(3)
  })

  it('sends no more than the relay has room for', () => {
    const sender = new Sender({ room: 100 })
    for (let index = 0; index < 3; index++) sender.add('produce', 'a', { bytes: 20 })
    expect(sender.pump()).toEqual([0, 1])
    sender.channel.confirmed(0, 200)
    expect(sender.pump()).toEqual([2])
  })

  it('keeps what is for a blocked group, and lets the rest pass', () => {
    const sender = new Sender()
    sender.add('produce', 'a')
    sender.outbox.block('a')
    sender.add('produce', 'b')
    sender.add('broadcast', 'a')
    sender.add('produce', 'a')
    expect(sender.pump()).toEqual([1, 2])
    sender.outbox.unblock('a')
    sender.add('produce', 'a')
    expect(sender.pump()).toEqual([0, 3, 4])
  })

  it('keeps the order of each group where objects for several groups wait', () => {
    const sender = new Sender()
    sender.add('produce', ['a', 'b'])
    sender.outbox.block('b')
    sender.add('produce', 'a')
    sender.add('produce', 'c')
    sender.add('produce', ['a', 'c'])
    sender.add('produce', 'c')
    expect(sender.pump()).toEqual([2])
    sender.outbox.unblock('b')
    const order = sender.pump()
    expect([...order].sort()).toEqual([0, 1, 3, 4])
    expect(order.indexOf(0)).toBeLessThan(order.indexOf(1))
    expect(order.indexOf(1)).toBeLessThan(order.indexOf(3))
    expect(order.indexOf(3)).toBeLessThan(order.indexOf(4))
  })

  it('sends no more of what is withdrawn in time, wherever it waits', () => {
    const sender = new Sender({ room: 100 })
    const { outbox, channel } = sender
    for (const group of ['a', 'a', 'b', 'a']) sender.add('broadcast', group, { bytes: 20 })
    expect(sender.pump()).toEqual([0, 1])
    expect(outbox.withdraw(1, channel)).toBe(false)
    expect(outbox.withdraw(2, channel)).toBe(true)
    expect(outbox.withdraw(2, channel)).toBe(false)
    expect(outbox.withdraw(9, channel)).toBe(false)
    expect(outbox.unresolved).toBe(3)
    channel.confirmed(0, 1_000)
    expect(sender.pump()).toEqual([3])
    outbox.resolve(0, 1, channel)
    outbox.resolve(3, 3, channel)
    expect(outbox.unresolved).toBe(0)
  })

  it('begins a large object that may be withdrawn only when no other one of its lanes is on its way', () => {
    const sender = new Sender({ room: 10_000_000, streamsMax: 16 })
    const { outbox, channel } = sender
    const large = { bytes: 300_000, large: true, isReplaceable: true }
    for (const groups of [['a'], ['a', 'b'], ['a', 'b'], ['c']]) sender.add('broadcast', groups, large)
    sender.add('broadcast', 'a')
    sender.add('produce', 'a')
    // The rest of its lane waits behind it, so that the order stays; other lanes pass.
    expect(sender.pump()).toEqual([0, 3, 5])
    expect(outbox.withdraw(0, channel)).toBe(false)
    expect(outbox.withdraw(1, channel)).toBe(true)
    expect(outbox.takeSpent(channel).map(({ byteLength }) => byteLength)).toEqual([300_000])
    expect(sender.pump()).toEqual([])
    channel.openWindow(100, 300_000)
    channel.pumpBulk()
    expect(sender.ended).toBe(1)
    expect(sender.pump()).toEqual([2, 4])
    expect(outbox.withdraw(4, channel)).toBe(false)
  })

  it('keeps nothing of what was withdrawn for a relay that does not know the session any more', () => {
    const sender = new Sender({ room: 100 })
    for (let index = 0; index < 4; index++) sender.add('broadcast', 'a', { bytes: 20 })
    sender.pump()
    sender.outbox.withdraw(2, sender.channel)
    sender.begin(1_000, 1)
    expect(sender.pump()).toEqual([0, 1, 3])
  })

  it('lets what is small pass large objects that have to wait for others', () => {
    const sender = new Sender({ streamsMax: 1 })
    sender.add('produce', 'a', { bytes: 200_000, large: true })
    sender.add('produce', 'a', { bytes: 200_000, large: true })
    sender.add('produce', 'b')
    sender.add('broadcast', 'a')
    sender.add('produce', 'a')
    expect(sender.pump()).toEqual([0, 2, 3])
    sender.outbox.resolve(0, 0, sender.channel)
    expect(sender.pump()).toEqual([1, 4])
  })

  it('sends everything that is not resolved again in a new session, from the oldest on', () => {
    const sender = new Sender()
    for (let index = 0; index < 5; index++) sender.add('produce', 'a', { large: index === 1 })
    sender.add('produce', 'b')
    sender.outbox.block('b')
    sender.pump()
    for (const sequence of [0, 2]) sender.outbox.resolve(sequence, sequence, sender.channel)
    sender.begin(ROOM, 2)
    expect(sender.pump()).toEqual([1, 3, 4, 5])
    expect([...sender.outbox.unresolvedObjects()].map(({ sequence }) => sequence)).toEqual([1, 3, 4, 5])
  })

  it('closes the stream of a large object once it is resolved', () => {
    const sender = new Sender()
    const sequence = sender.add('produce', 'a', { large: true })
    sender.pump()
    expect(sender.channel.hasStream(100)).toBe(true)
    sender.outbox.resolve(sequence, sequence, sender.channel)
    expect(sender.channel.hasStream(100)).toBe(false)
    sender.outbox.resolve(sequence, sequence, sender.channel)
    expect(sender.outbox.unresolved).toBe(0)
  })

  it('gives the memory of a large object back when the relay has answered it and confirmed its frames', () => {
    const sender = new Sender()
    const sequence = sender.add('produce', 'a', { large: true, bytes: 300_000 })
    sender.pump()
    sender.channel.openWindow(100, 300_000)
    sender.pump()
    const { log } = sender.channel
    sender.channel.confirmed(log.appendedFrames, ROOM)
    expect(sender.outbox.takeSpent(sender.channel)).toEqual([])
    sender.pump()
    sender.add('produce', 'b')
    sender.pump()
    sender.outbox.resolve(sequence, sequence, sender.channel)
    expect(sender.outbox.takeSpent(sender.channel)).toEqual([])
    sender.channel.confirmed(log.appendedFrames, ROOM)
    expect(sender.outbox.takeSpent(sender.channel).map(({ byteLength }) => byteLength)).toEqual([300_000])
    expect(sender.outbox.takeSpent(sender.channel)).toEqual([])
  })

  it('keeps no group that a relay blocks, or unblocks, but those that something produced here waits for', () => {
    const sender = new Sender()
    const { outbox, channel } = sender
    const violation = expect.objectContaining({ code: 'PROTOCOL_VIOLATION' })
    for (const group of ['a', '', 'x'.repeat(65_000), 'a\nb']) expect(() => outbox.block(group)).toThrow(violation)
    sender.add('broadcast', 'a')
    sender.add('produce', ['b', 'c'])
    sender.pump()
    expect(() => outbox.block('a')).toThrow(violation)
    outbox.block('b')
    outbox.block('c')
    outbox.unblock('c')
    expect(() => outbox.unblock('c')).toThrow(violation)
    outbox.resolve(1, 1, channel)
    outbox.unblock('b')
    expect(() => outbox.block('b')).toThrow(violation)
  })

  it('does not believe a relay that answers for what it was not sent', () => {
    const sender = new Sender({ room: 100 })
    sender.add('produce', 'b', { bytes: 20 })
    sender.outbox.block('b')
    for (let index = 0; index < 3; index++) sender.add('produce', 'a', { bytes: 20 })
    expect(sender.pump()).toEqual([1, 2])
    for (const sequence of [0, 3]) {
      expect(() => sender.outbox.resolve(sequence, sequence, sender.channel)).toThrow(
        expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
      )
    }
    sender.outbox.resolve(1, 2, sender.channel)
    expect(sender.outbox.unresolved).toBe(2)
  })

  it('uses memory again only when all in it is answered and confirmed', () => {
    const sender = new Sender({ room: 100_000_000 })
    const unconfirmed = () => sender.channel.log.appendedFrames - sender.channel.log.confirmedFrames
    let next = 0
    for (let round = 0; round < 200; round++) {
      for (let index = 0; index < 3; index++) sender.add('produce', 'a', { bytes: 60_000 })
      sender.pump()
      // What was answered and is not confirmed, and what is confirmed and not answered, has its own content when it is sent again.
      const answers = round < 100 ? 3 : 2
      sender.outbox.resolve(next, next + answers - 1, sender.channel)
      next += answers
      const confirms = round < 100 ? Math.min(1, unconfirmed()) : unconfirmed()
      sender.channel.confirmed(sender.channel.log.confirmedFrames + confirms, 100_000_000)
      if (round % 50 !== 49) continue
      const { log } = sender.channel
      const frames = Array.from({ length: unconfirmed() }, (_, index) => log.confirmedFrames + index)
      expect(sender.resume()).toEqual(frames)
      const objects = [...sender.outbox.unresolvedObjects()].map(({ buffer, start }) => readSequence(buffer, start))
      expect(objects).toEqual(Array.from({ length: objects.length }, (_, index) => next + index))
    }
  })

  it('does not keep memory that comes and goes for what waits long', () => {
    const sender = new Sender({ room: 100_000_000 })
    const { log } = sender.channel
    const used = new Set<Buffer>()
    for (let round = 0; round < 100; round++) {
      sender.add('produce', 'a')
      if (round === 0) sender.outbox.block('a')
      const first = sender.add('produce', 'b', { bytes: 100_000 })
      const last = sender.add('produce', 'b', { bytes: 100_000 })
      sender.pump()
      for (const { buffer } of sender.outbox.unresolvedObjects()) used.add(buffer)
      sender.outbox.resolve(first, last, sender.channel)
      sender.channel.confirmed(log.appendedFrames, 100_000_000)
    }
    const buffers = new Set([...sender.outbox.unresolvedObjects()].map(({ buffer }) => buffer))
    expect(sender.outbox.unresolved).toBe(100)
    expect(used.size).toBeLessThan(6)
    expect([...buffers].reduce((bytes, { length }) => bytes + length, 0)).toBeLessThan(100_000)
  })

  it('keeps the order in each lane and every object until it is answered, whatever happens in whatever order', () => {
    const groups = ['a', 'b', 'c']
    const action = fc.oneof(
      { weight: 5, arbitrary: fc.record({ add: fc.subarray(groups, { minLength: 1 }), large: fc.boolean() }) },
      { weight: 2, arbitrary: fc.record({ pump: fc.constant(true) }) },
      { weight: 1, arbitrary: fc.record({ block: fc.constantFrom(...groups) }) },
      { weight: 1, arbitrary: fc.record({ unblock: fc.constantFrom(...groups) }) },
      { weight: 3, arbitrary: fc.record({ answer: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ restart: fc.constant(true) }) },
    )
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const model = new OutboxModel()
        for (const step of actions) {
          if ('add' in step) model.add(step.add, step.large)
          else if ('pump' in step) model.pump()
          else if ('block' in step) model.block(step.block)
          else if ('unblock' in step) model.unblock(step.unblock)
          else if ('answer' in step) model.answer(step.answer)
          else model.restart()
          model.check()
        }
        for (const group of groups) model.unblock(group)
        while (model.unanswered.size > 0) {
          model.pump()
          expect(model.answer(0)).toBe(true)
          model.check()
        }
      }),
      { numRuns: 300 },
    )
  })

  it('costs no more for each object when very many wait', () => {
    const sender = new Sender({ room: 100_000_000 })
    for (let index = 0; index < 50_000; index++) sender.add('produce', 'a', { bytes: 1 })
    sender.outbox.block('a')
    const beganMs = performance.now()
    for (let round = 0; round < 1_000; round++) sender.pump()
    sender.outbox.unblock('a')
    expect(sender.pump()).toHaveLength(50_000)
    expect(performance.now() - beganMs).toBeLessThan(3_000)
  })
})
