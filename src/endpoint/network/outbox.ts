import { Deque } from '../../core/deque.ts'
import { createError } from '../../errors.ts'
import { fixedLimits } from '../../limits.ts'
import { readUint32 } from '../../wire/integers.ts'
import { readSequence } from '../../wire/objectHeader.ts'
import type { ReliableChannel } from '../../wire/reliableChannel.ts'
import { Slab } from '../../wire/slab.ts'
import { SPARE_BYTES_MIN } from '../records.ts'
import { KeptRun, KeptRuns, type OutgoingBody, type OutgoingObject } from './keptRuns.ts'
import { Lanes } from './lanes.ts'
import { SendMemory } from './sendMemory.ts'

/**
 * What an endpoint sends: each object goes into the channel in the order of the calls, as the relay's room for it
 * allows, or waits in the lines of its lanes. Objects are kept until the relay accepted them, and sent again when it does
 * not know the session any more.
 */
export class Outbox {
  #kept = new KeptRuns()
  readonly #memory = new SendMemory()
  /** What waits in lines, and lies by itself: it may wait for long, while all around it in the memory comes and goes. */
  #keptApart = new KeptRuns()
  readonly #slabApart = new Slab()
  readonly #lanes = new Lanes()
  /** The bodies of large objects that were answered, with the last frame that they may be part of. */
  #spent: { parts: readonly ArrayBuffer[]; lastFrame: number }[] = []
  /** What is neither given to the channel nor waits in lines: of the first run, what begins at `#at` with `#sequence`. */
  #queue = new Deque<KeptRun>()
  #at = 0
  #sequence = 0
  #sentBytes = 0
  #openStreams = 0
  #streamsMax = 1
  /** The lanes of the large objects that are on their way and not sent to their end, by stream. */
  readonly #underWay = new Map<number, readonly string[]>()
  readonly #ended: () => void

  /** `ended` is called when a large object is sent to its end: another one may begin now. */
  constructor(ended: () => void = () => undefined) {
    this.#ended = ended
  }

  /** Objects that the relay has not accepted. */
  get unresolved(): number {
    return this.#kept.unresolved + this.#keptApart.unresolved
  }

  /** Objects that the relay has not accepted, in the order of the calls. */
  unresolvedObjects(): Iterable<OutgoingObject> {
    const objects = this.#kept.objects()
    if (this.#keptApart.unresolved === 0) return objects
    return [...objects, ...this.#keptApart.objects()].sort((one, other) => one.sequence - other.sequence)
  }

  /** Their sequences, as ranges: so many at most, the last of which may hold others as well. */
  unresolvedRanges(): [from: number, to: number][] {
    const ranges: [from: number, to: number][] = []
    for (const { sequence } of this.unresolvedObjects()) {
      const last = ranges.at(-1)
      if (last !== undefined && (sequence === last[1] + 1 || ranges.length === fixedLimits.unresolvedRangesMax))
        last[1] = sequence
      else ranges.push([sequence, sequence])
    }
    return ranges
  }

  /** Takes small objects over whose frames lie in a row; they are copied. */
  addFrames(source: Buffer, start: number, end: number, channel: ReliableChannel | undefined): void {
    const slab = this.#memory.copy(source, start, end, channel?.log)
    const at = slab.end - (end - start)
    const { buffer } = slab
    this.#add({ sequence: readSequence(buffer, at), buffer, start: at, end: slab.end, stream: undefined, slab })
  }

  /** Takes a large object over. */
  addLarge(begin: Buffer, stream: OutgoingBody): void {
    const sequence = readSequence(begin, 0)
    this.#add({ sequence, buffer: begin, start: 0, end: begin.length, stream, slab: undefined })
  }

  #add(objects: OutgoingObject): void {
    const run = new KeptRun(objects)
    if (run.slab !== undefined) run.slab.runs++
    this.#kept.add(run)
    this.#enqueue(run)
  }

  #enqueue(run: KeptRun): void {
    if (this.#queue.length === 0) this.#begin(run)
    this.#queue.push(run)
  }

  #begin({ start, firstSequence }: KeptRun): void {
    this.#at = start
    this.#sequence = firstSequence
  }

  /** The relay has accepted or rejected the objects of these sequences. Throws `PROTOCOL_VIOLATION`. */
  resolve(from: number, to: number, channel: ReliableChannel | undefined): void {
    if (to - from > this.unresolved || !this.#wereGiven(from, to))
      throw createError('PROTOCOL_VIOLATION', 'The relay answers for objects that were never sent.')
    const resolved = (run: KeptRun) => this.#resolved(run, channel)
    this.#kept.resolve(from, to, resolved)
    if (this.#keptApart.unresolved > 0) this.#keptApart.resolve(from, to, resolved)
    if (this.unresolved === 0) this.#memory.idle()
  }

  #resolved({ stream, slab, unresolved }: KeptRun, channel: ReliableChannel | undefined): void {
    if (slab !== undefined && unresolved === 0) slab.runs--
    if (stream === undefined || channel?.hasStream(stream.id) !== true) return
    channel.closeStream(stream.id)
    this.#leaveLanes(stream.id)
    this.#openStreams--
    this.#spent.push({ parts: stream.parts, lastFrame: channel.log.appendedFrames })
  }

  /** The memory of large objects that is not needed any more: the relay answered them, and confirmed all their frames. */
  takeSpent({ log }: ReliableChannel): ArrayBuffer[] {
    if (this.#spent.length === 0) return []
    const needed = this.#spent.filter(({ lastFrame }) => lastFrame > log.confirmedFrames)
    const spent = this.#spent.filter(({ lastFrame }) => lastFrame <= log.confirmedFrames)
    this.#spent = needed
    return spent.flatMap(({ parts }) => parts.filter(({ byteLength }) => byteLength >= SPARE_BYTES_MIN))
  }

  /**
   * An object need not be sent any more; returns whether that is in time. If so, what is of it is forgotten.
   */
  withdraw(sequence: number, channel: ReliableChannel | undefined): boolean {
    const isWaiting = (this.#queue.length > 0 && sequence >= this.#sequence) || this.#lanes.holds(sequence, sequence)
    if (!isWaiting) return false
    let isFound = false
    const withdrawn = (run: KeptRun) => {
      isFound = true
      this.#resolved(run, undefined)
      if (run.stream !== undefined && channel !== undefined) this.#spent.push({ parts: run.stream.parts, lastFrame: 0 })
    }
    this.#kept.resolve(sequence, sequence, withdrawn)
    if (this.#keptApart.unresolved > 0) this.#keptApart.resolve(sequence, sequence, withdrawn)
    this.#lanes.withdraw(sequence)
    return isFound
  }

  #wereGiven(from: number, to: number): boolean {
    if (this.#queue.length > 0 && to >= this.#sequence) return false
    return !this.#lanes.holds(from, to)
  }

  /** The relay has no room for a group. Throws `PROTOCOL_VIOLATION` unless something that was produced for it is unanswered: so no more is kept of it than was sent. */
  block(group: string): void {
    // The text is compared with names that this library has made, and so need not be checked to be one.
    if (!this.#isAwaitedBy(group))
      throw createError(
        'PROTOCOL_VIOLATION',
        'The relay blocks a group that nothing waits for which was produced here.',
      )
    this.#lanes.block(group)
  }

  /** The group has room again. Throws `PROTOCOL_VIOLATION` if it was not blocked. */
  unblock(group: string): void {
    if (this.#lanes.unblock(group)) return
    throw createError('PROTOCOL_VIOLATION', 'The relay gives room to a group that it had not blocked.')
  }

  /** Most often it is the oldest object that was not answered which is held back: the search is short. */
  #isAwaitedBy(group: string): boolean {
    for (const kept of [this.#kept, this.#keptApart]) {
      for (const { buffer, start, end } of kept.objects())
        if (this.#lanes.isProducedFor(group, buffer, start, end)) return true
    }
    return false
  }

  /** A session begins at the relay: everything that was not accepted is to be sent, from the oldest on. */
  restart(streamsMax: number): void {
    const objects = [...this.unresolvedObjects()]
    this.#kept = new KeptRuns()
    this.#keptApart = new KeptRuns()
    this.#memory.restart()
    this.#lanes.clear()
    this.#queue = new Deque()
    for (const run of joined(objects)) this.#add(run)
    this.#spent = []
    this.#sentBytes = 0
    this.#openStreams = 0
    this.#underWay.clear()
    this.#streamsMax = streamsMax
  }

  /** Gives the channel what it may have now; returns whether that was anything. */
  pump(channel: ReliableChannel): boolean {
    let moved = this.#lanes.release(({ run, start, end }) => {
      if (!this.#hasRoom(run, start, end, channel)) return false
      this.#give(run, start, end, channel)
      return true
    })
    for (let run = this.#queue.first(); run !== undefined; run = this.#queue.first()) {
      const before = this.#at
      const through = this.#pumpRun(run, channel)
      if (this.#at > before) moved = true
      if (!through) break
      this.#queue.shift()
      const next = this.#queue.first()
      if (next !== undefined) this.#begin(next)
    }
    return moved
  }

  /** Gives, or holds, what is left of a run; returns whether that was all. */
  #pumpRun(run: KeptRun, channel: ReliableChannel): boolean {
    const { buffer } = run
    while (this.#at < run.end) {
      const start = this.#at
      const end = start + readUint32(buffer, start)
      if (run.isUnresolved(this.#sequence)) {
        if (this.#lanes.mustWait(buffer, start, end)) this.#hold(run, start, end)
        else if (this.#hasRoom(run, start, end, channel)) this.#give(run, start, end, channel)
        else if (run.stream !== undefined) this.#hold(run, start, end)
        else return false
      }
      this.#at = end
      this.#sequence++
    }
    return true
  }

  #give({ buffer, stream, slab }: KeptRun, start: number, end: number, channel: ReliableChannel): void {
    channel.sendKept(buffer, start, end)
    if (slab !== undefined) slab.lastFrame = channel.log.appendedFrames
    if (stream === undefined) this.#sentBytes += end - start
    else {
      const lanes = this.#lanes.begin(buffer, start, end)
      this.#underWay.set(stream.id, lanes)
      stream.source.finished = () => {
        if (this.#leaveLanes(stream.id)) this.#ended()
      }
      // The relay opens the window once it has a place for the object.
      channel.openStream(stream.id, stream.source, 0, lanes.join('\n'))
      this.#openStreams++
    }
  }

  #leaveLanes(stream: number): boolean {
    const lanes = this.#underWay.get(stream)
    if (lanes === undefined) return false
    this.#underWay.delete(stream)
    this.#lanes.end(lanes)
    return true
  }

  #hasRoom({ buffer, stream }: KeptRun, start: number, end: number, channel: ReliableChannel): boolean {
    if (stream !== undefined) {
      if (this.#openStreams >= this.#streamsMax) return false
      // A newer one may come as long as this one waits.
      return !stream.isReplaceable || !this.#lanes.isBusy(buffer, start, end)
    }
    return this.#sentBytes + (end - start) <= channel.peerLimit
  }

  #hold(run: KeptRun, start: number, end: number): void {
    const sequence = this.#sequence
    if (run.slab === undefined) {
      this.#lanes.hold(run, sequence, start, end)
      return
    }
    const at = this.#slabApart.copy(run.buffer, start, end)
    const { buffer } = this.#slabApart
    const apart = new KeptRun({
      sequence,
      buffer,
      start: at,
      end: at + end - start,
      stream: undefined,
      slab: undefined,
    })
    this.#keptApart.add(apart)
    this.#kept.resolve(sequence, sequence, (moved) => this.#resolved(moved, undefined))
    this.#lanes.hold(apart, sequence, apart.start, apart.end)
  }
}

/** Small objects with consecutive sequences whose frames lie in a row, as one. */
function joined(objects: readonly OutgoingObject[]): OutgoingObject[] {
  const runs: OutgoingObject[] = []
  let next = -1
  for (const object of objects) {
    const last = runs.at(-1)
    const joins = last?.buffer === object.buffer && last.end === object.start && next === object.sequence
    if (joins) runs[runs.length - 1] = { ...last, end: object.end }
    else runs.push(object)
    next = object.sequence + 1
  }
  return runs
}
