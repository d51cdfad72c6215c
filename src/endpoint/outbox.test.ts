import { describe, expect, it } from 'vitest'
import { Conversation } from '../wire/conversation.ts'
import { FrameReader } from '../wire/frameReader.ts'
import { FrameType } from '../wire/frameTypes.ts'
import {
  encodeRoute,
  encodeStreamBegin,
  OBJECT_HEAD_BYTES,
  type Route,
  readSequence,
  writeObjectHead,
} from '../wire/objectHeader.ts'
import { PartsSource } from '../wire/outgoingStream.ts'
import { Outbox } from './outbox.ts'

const ROOM = 1_000_000

/** An outbox with a conversation whose frames are noted by their sequences. */
class Sender {
  readonly outbox = new Outbox()
  conversation: Conversation
  #sequence = 0
  #sent: number[] = []
  readonly #reader = new FrameReader({
    frame: (type, buffer, start) => {
      if (type >= FrameType.OBJECT) this.#sent.push(readSequence(buffer, start))
    },
    chunk: () => undefined,
  })

  constructor({ room = ROOM, streamsMax = 2 } = {}) {
    this.conversation = new Conversation(ROOM, room)
    this.begin(room, streamsMax)
  }

  begin(room: number, streamsMax: number): void {
    this.conversation = new Conversation(ROOM, room)
    this.conversation.attach({ write: (bytes) => this.#reader.push(bytes), pendingBytes: 0 }, 0)
    this.outbox.restart(streamsMax)
  }

  add(kind: Route['kind'], groups: string | readonly string[], { bytes = 10, large = false } = {}): number {
    const names = typeof groups === 'string' ? [groups] : groups
    const route = encodeRoute({ kind, groups: names, copies: names.map(() => 1) })
    const sequence = this.#sequence++
    const id = 100 + sequence
    if (large) {
      const source = new PartsSource([Buffer.alloc(bytes)])
      const parts = [new ArrayBuffer(10), new ArrayBuffer(bytes)]
      this.outbox.addLarge(encodeStreamBegin(route, sequence, 0, id, bytes), { id, source, parts })
      return sequence
    }
    const frame = Buffer.alloc(OBJECT_HEAD_BYTES + route.destinations.length + bytes)
    writeObjectHead(frame, 0, FrameType.OBJECT, route, sequence, 0)
    frame.writeUInt32LE(frame.length)
    this.outbox.addFrames(frame, 0, frame.length, this.conversation)
    return sequence
  }

  /** A new link for the same session: the sequences that leave again. */
  resume(): number[] {
    this.#sent = []
    this.conversation.attach(
      { write: (bytes) => this.#reader.push(bytes), pendingBytes: 0 },
      this.conversation.log.confirmedFrames,
    )
    this.conversation.pump()
    return this.#sent
  }

  /** The sequences that leave now. */
  pump(): number[] {
    this.#sent = []
    this.outbox.pump(this.conversation)
    this.conversation.pump()
    return this.#sent
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
    sender.conversation.confirmed(0, 200)
    expect(sender.pump()).toEqual([2])
  })

  it('keeps what is for a blocked group, and lets the rest pass', () => {
    const sender = new Sender()
    sender.outbox.block('a')
    sender.add('produce', 'a')
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
    sender.outbox.block('b')
    sender.add('produce', ['a', 'b'])
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

  it('lets what is small pass large objects that have to wait for others', () => {
    const sender = new Sender({ streamsMax: 1 })
    sender.add('produce', 'a', { bytes: 200_000, large: true })
    sender.add('produce', 'a', { bytes: 200_000, large: true })
    sender.add('produce', 'b')
    sender.add('broadcast', 'a')
    sender.add('produce', 'a')
    expect(sender.pump()).toEqual([0, 2, 3])
    sender.outbox.resolve(0, 0, sender.conversation)
    expect(sender.pump()).toEqual([1, 4])
  })

  it('sends everything that is not resolved again in a new session, from the oldest on', () => {
    const sender = new Sender()
    for (let index = 0; index < 5; index++) sender.add('produce', 'a', { large: index === 1 })
    sender.outbox.block('b')
    sender.add('produce', 'b')
    sender.pump()
    for (const sequence of [0, 2]) sender.outbox.resolve(sequence, sequence, sender.conversation)
    sender.begin(ROOM, 2)
    expect(sender.pump()).toEqual([1, 3, 4, 5])
    expect([...sender.outbox.unresolvedObjects()].map(({ sequence }) => sequence)).toEqual([1, 3, 4, 5])
  })

  it('closes the stream of a large object once it is resolved', () => {
    const sender = new Sender()
    const sequence = sender.add('produce', 'a', { large: true })
    sender.pump()
    expect(sender.conversation.hasStream(100)).toBe(true)
    sender.outbox.resolve(sequence, sequence, sender.conversation)
    expect(sender.conversation.hasStream(100)).toBe(false)
    sender.outbox.resolve(sequence, sequence, sender.conversation)
    expect(sender.outbox.unresolved).toBe(0)
  })

  it('gives the memory of a large object back when the relay has answered it and confirmed its frames', () => {
    const sender = new Sender()
    const sequence = sender.add('produce', 'a', { large: true, bytes: 300_000 })
    sender.pump()
    sender.conversation.openWindow(100, 300_000)
    sender.pump()
    const { log } = sender.conversation
    sender.conversation.confirmed(log.appendedFrames, ROOM)
    expect(sender.outbox.takeSpent(sender.conversation)).toEqual([])
    sender.pump()
    sender.add('produce', 'b')
    sender.pump()
    sender.outbox.resolve(sequence, sequence, sender.conversation)
    expect(sender.outbox.takeSpent(sender.conversation)).toEqual([])
    sender.conversation.confirmed(log.appendedFrames, ROOM)
    expect(sender.outbox.takeSpent(sender.conversation).map(({ byteLength }) => byteLength)).toEqual([300_000])
    expect(sender.outbox.takeSpent(sender.conversation)).toEqual([])
  })

  it('does not believe a relay that blocks ever more groups', () => {
    const { outbox } = new Sender()
    expect(() => {
      for (let index = 0; index < 200_000; index++) outbox.block(`group ${index}`)
    }).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }))
  })

  it('does not believe a relay that answers for what it was not sent', () => {
    const sender = new Sender({ room: 100 })
    sender.outbox.block('b')
    sender.add('produce', 'b', { bytes: 20 })
    for (let index = 0; index < 3; index++) sender.add('produce', 'a', { bytes: 20 })
    expect(sender.pump()).toEqual([1, 2])
    for (const sequence of [0, 3]) {
      expect(() => sender.outbox.resolve(sequence, sequence, sender.conversation)).toThrow(
        expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
      )
    }
    sender.outbox.resolve(1, 2, sender.conversation)
    expect(sender.outbox.unresolved).toBe(2)
  })

  it('uses memory again only when all in it is answered and confirmed', () => {
    const sender = new Sender({ room: 100_000_000 })
    const unconfirmed = () => sender.conversation.log.appendedFrames - sender.conversation.log.confirmedFrames
    let next = 0
    for (let round = 0; round < 200; round++) {
      for (let index = 0; index < 3; index++) sender.add('produce', 'a', { bytes: 60_000 })
      sender.pump()
      // What was answered and is not confirmed, and what is confirmed and not answered, has its own content when it is sent again.
      const answers = round < 100 ? 3 : 2
      sender.outbox.resolve(next, next + answers - 1, sender.conversation)
      next += answers
      const confirms = round < 100 ? Math.min(1, unconfirmed()) : unconfirmed()
      sender.conversation.confirmed(sender.conversation.log.confirmedFrames + confirms, 100_000_000)
      if (round % 50 !== 49) continue
      const { log } = sender.conversation
      const frames = Array.from({ length: unconfirmed() }, (_, index) => log.confirmedFrames + index)
      expect(sender.resume()).toEqual(frames)
      const objects = [...sender.outbox.unresolvedObjects()].map(({ buffer, start }) => readSequence(buffer, start))
      expect(objects).toEqual(Array.from({ length: objects.length }, (_, index) => next + index))
    }
  })

  it('costs no more for each object when very many wait', () => {
    const sender = new Sender({ room: 100_000_000 })
    sender.outbox.block('a')
    for (let index = 0; index < 50_000; index++) sender.add('produce', 'a', { bytes: 1 })
    const beganMs = performance.now()
    for (let round = 0; round < 1_000; round++) sender.pump()
    sender.outbox.unblock('a')
    expect(sender.pump()).toHaveLength(50_000)
    expect(performance.now() - beganMs).toBeLessThan(3_000)
  })
})
