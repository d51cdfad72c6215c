import { Deque } from '../core/deque.ts'
import { createError } from '../errors.ts'
import type { Conversation } from '../wire/conversation.ts'
import { readUint32 } from '../wire/integers.ts'
import { readSequence } from '../wire/objectHeader.ts'
import { RouteCache } from '../wire/routeCache.ts'
import { KeptRun, KeptRuns, type OutgoingBody, type OutgoingObject } from './keptRuns.ts'
import { SendMemory } from './sendMemory.ts'
import { SPARE_BYTES_MIN } from './spareMemory.ts'

/** An object that waits in the lines of all its lanes. */
interface HeldObject {
  readonly run: KeptRun
  readonly sequence: number
  readonly start: number
  readonly end: number
  readonly lanes: readonly string[]
}

/** So many groups can be blocked at once; a relay that names more is not to be believed. */
const BLOCKED_GROUPS_MAX = 100_000

/**
 * What an endpoint sends: each object goes into the conversation in the order of the calls, as the relay's room for it
 * allows. What cannot go yet, because its group is blocked or because too many large objects are under way, waits in
 * the lines of its lanes (a group, and broadcast or queue), so that the objects of other lanes pass. Objects are kept
 * until the relay accepted them, and sent again when it does not know the session any more.
 */
export class Outbox {
  readonly #kept = new KeptRuns()
  readonly #memory = new SendMemory()
  /** The bodies of large objects that were answered, with the last frame that they may be part of. */
  #spent: { parts: readonly ArrayBuffer[]; lastFrame: number }[] = []
  readonly #routes = new RouteCache(() => true)
  /** What is neither given to the conversation nor held in lines: of the first run, what begins at `#at` with `#sequence`. */
  #queue = new Deque<KeptRun>()
  #at = 0
  #sequence = 0
  /** By lane: what waits, in order. An object for several groups stands in several lines, and leaves when it is the first in all. */
  readonly #lines = new Map<string, Deque<HeldObject>>()
  /** The sequences of the objects in lines. */
  readonly #held = new Set<number>()
  /** Lanes that the relay has blocked. */
  readonly #blocked = new Set<string>()
  #sentBytes = 0
  #openStreams = 0
  #streamsMax = 1

  /** Objects that the relay has not accepted. */
  get unresolved(): number {
    return this.#kept.unresolved
  }

  *unresolvedObjects(): Generator<OutgoingObject> {
    for (const run of this.#kept.values()) yield* run.objects()
  }

  /** Takes small objects over whose frames lie in a row; they are copied. */
  addFrames(source: Buffer, start: number, end: number, conversation: Conversation | undefined): void {
    const slab = this.#memory.copy(source, start, end, conversation?.log)
    slab.runs++
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
  resolve(from: number, to: number, conversation: Conversation | undefined): void {
    if (to - from > this.unresolved || !this.#wereGiven(from, to))
      throw createError('PROTOCOL_VIOLATION', 'The relay answers for objects that were never sent.')
    this.#kept.resolve(from, to, ({ stream, slab, unresolved }) => {
      if (slab !== undefined && unresolved === 0) slab.runs--
      if (stream === undefined || conversation?.hasStream(stream.id) !== true) return
      conversation.closeStream(stream.id)
      this.#openStreams--
      this.#spent.push({ parts: stream.parts, lastFrame: conversation.log.appendedFrames })
    })
    if (this.unresolved === 0) this.#memory.idle()
  }

  /** The memory of large objects that is not needed any more: the relay answered them, and confirmed all their frames. */
  takeSpent({ log }: Conversation): ArrayBuffer[] {
    if (this.#spent.length === 0) return []
    const needed = this.#spent.filter(({ lastFrame }) => lastFrame > log.confirmedFrames)
    const spent = this.#spent.filter(({ lastFrame }) => lastFrame <= log.confirmedFrames)
    this.#spent = needed
    return spent.flatMap(({ parts }) => parts.filter(({ byteLength }) => byteLength >= SPARE_BYTES_MIN))
  }

  #wereGiven(from: number, to: number): boolean {
    if (this.#queue.length > 0 && to >= this.#sequence) return false
    if (this.#held.size > 0) {
      for (let sequence = from; sequence <= to; sequence++) if (this.#held.has(sequence)) return false
    }
    return true
  }

  block(group: string): void {
    if (this.#blocked.size >= BLOCKED_GROUPS_MAX)
      throw createError('PROTOCOL_VIOLATION', `The relay blocks more than ${BLOCKED_GROUPS_MAX} groups.`)
    this.#blocked.add(laneName('produce', group))
  }

  unblock(group: string): void {
    this.#blocked.delete(laneName('produce', group))
  }

  /** A session begins at the relay: everything that was not accepted is to be sent, from the oldest on. */
  restart(streamsMax: number): void {
    this.#memory.restart()
    this.#spent = []
    this.#queue = new Deque()
    for (const run of this.#kept.values()) this.#enqueue(run)
    this.#lines.clear()
    this.#held.clear()
    this.#blocked.clear()
    this.#sentBytes = 0
    this.#openStreams = 0
    this.#streamsMax = streamsMax
  }

  /** Gives the conversation what it may have now; returns whether that was anything. */
  pump(conversation: Conversation): boolean {
    let moved = this.#pumpLines(conversation)
    for (let run = this.#queue.first(); run !== undefined; run = this.#queue.first()) {
      const before = this.#at
      const through = this.#pumpRun(run, conversation)
      if (this.#at > before) moved = true
      if (!through) break
      this.#queue.shift()
      const next = this.#queue.first()
      if (next !== undefined) this.#begin(next)
    }
    return moved
  }

  /** Gives, or holds, what is left of a run; returns whether that was all. */
  #pumpRun(run: KeptRun, conversation: Conversation): boolean {
    const { buffer } = run
    while (this.#at < run.end) {
      const start = this.#at
      const end = start + readUint32(buffer, start)
      if (run.isUnresolved(this.#sequence)) {
        if (this.#mustWait(buffer, start, end)) this.#hold(run, start, end)
        else if (this.#hasRoom(run, start, end, conversation)) this.#give(run, start, end, conversation)
        else if (run.stream !== undefined) this.#hold(run, start, end)
        else return false
      }
      this.#at = end
      this.#sequence++
    }
    return true
  }

  #pumpLines(conversation: Conversation): boolean {
    let moved = false
    // An object that leaves one line may have been what another line waited for.
    for (let again = this.#lines.size > 0; again; ) {
      again = false
      for (const line of this.#lines.values()) {
        for (let held = line.first(); held !== undefined && this.#isFree(held); held = line.first()) {
          const { run, start, end } = held
          if (!this.#hasRoom(run, start, end, conversation)) break
          this.#leaveLines(held)
          this.#give(run, start, end, conversation)
          again = true
          moved = true
        }
      }
    }
    return moved
  }

  #isFree(held: HeldObject): boolean {
    return held.lanes.every((lane) => !this.#blocked.has(lane) && this.#lines.get(lane)?.first() === held)
  }

  #leaveLines(held: HeldObject): void {
    this.#held.delete(held.sequence)
    for (const lane of held.lanes) {
      const line = this.#lines.get(lane)
      line?.shift()
      if (line?.length === 0) this.#lines.delete(lane)
    }
  }

  #give({ buffer, stream, slab }: KeptRun, start: number, end: number, conversation: Conversation): void {
    conversation.sendKept(buffer, start, end)
    if (slab !== undefined) slab.lastFrame = conversation.log.appendedFrames
    if (stream === undefined) this.#sentBytes += end - start
    else {
      // The relay opens the window once it has a place for the object.
      conversation.openStream(stream.id, stream.source, 0)
      this.#openStreams++
    }
  }

  #hasRoom({ stream }: KeptRun, start: number, end: number, conversation: Conversation): boolean {
    if (stream !== undefined) return this.#openStreams < this.#streamsMax
    return this.#sentBytes + (end - start) <= conversation.peerLimit
  }

  /** Whether one of its groups is blocked, or earlier objects of one of its lanes wait. */
  #mustWait(buffer: Buffer, start: number, end: number): boolean {
    if (this.#blocked.size === 0 && this.#lines.size === 0) return false
    return this.#lanesOf(buffer, start, end).some((lane) => this.#blocked.has(lane) || this.#lines.has(lane))
  }

  #hold(run: KeptRun, start: number, end: number): void {
    const held: HeldObject = { run, sequence: this.#sequence, start, end, lanes: this.#lanesOf(run.buffer, start, end) }
    this.#held.add(held.sequence)
    for (const lane of held.lanes) {
      let line = this.#lines.get(lane)
      if (line === undefined) {
        line = new Deque()
        this.#lines.set(lane, line)
      }
      line.push(held)
    }
  }

  /** The frame was made by this library from names that were checked. */
  #lanesOf(buffer: Buffer, start: number, end: number): string[] {
    const { kind, groups } = this.#routes.read(buffer, start, end)
    return groups.map((group) => laneName(kind, group))
  }
}

function laneName(kind: string, group: string): string {
  return `${kind} ${group}`
}
