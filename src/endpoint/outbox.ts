import { Deque } from '../core/deque.ts'
import { createError } from '../errors.ts'
import type { Conversation } from '../wire/conversation.ts'
import { readUint32 } from '../wire/integers.ts'
import { RouteCache } from '../wire/routeCache.ts'
import { KeptRun, KeptRuns, type OutgoingBody, type OutgoingObject } from './keptRuns.ts'

/** An object that waits in the lines of all its lanes. */
interface HeldObject {
  readonly object: OutgoingObject
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
  readonly #routes = new RouteCache(() => true)
  /** What is neither given to the conversation nor held in lines: of the first run, what begins at `#at` with `#sequence`. */
  #queue = new Deque<KeptRun>()
  #at = 0
  #sequence = 0
  /** By lane: what waits, in order. An object for several groups stands in several lines, and leaves when it is the first in all. */
  readonly #lines = new Map<string, Deque<HeldObject>>()
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

  /** Takes an object over, or several small ones that lie in a row, the first of which has that sequence. */
  add(objects: OutgoingObject): void {
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

  /** The relay has accepted or rejected the objects of these sequences. */
  resolve(from: number, to: number, conversation: Conversation | undefined): void {
    this.#kept.resolve(from, to, ({ stream }) => {
      if (stream === undefined || conversation?.hasStream(stream.id) !== true) return
      conversation.closeStream(stream.id)
      this.#openStreams--
    })
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
    this.#queue = new Deque()
    for (const run of this.#kept.values()) this.#enqueue(run)
    this.#lines.clear()
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
    const { buffer, stream } = run
    while (this.#at < run.end) {
      const start = this.#at
      const end = start + readUint32(buffer, start)
      if (run.isUnresolved(this.#sequence)) {
        if (this.#mustWait(buffer, start, end)) this.#hold({ sequence: this.#sequence, buffer, start, end, stream })
        else if (this.#hasRoom(start, end, stream, conversation)) this.#give(buffer, start, end, stream, conversation)
        else if (stream !== undefined) this.#hold({ sequence: this.#sequence, buffer, start, end, stream })
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
          const { buffer, start, end, stream } = held.object
          if (!this.#hasRoom(start, end, stream, conversation)) break
          this.#leaveLines(held)
          this.#give(buffer, start, end, stream, conversation)
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
    for (const lane of held.lanes) {
      const line = this.#lines.get(lane)
      line?.shift()
      if (line?.length === 0) this.#lines.delete(lane)
    }
  }

  #give(
    buffer: Buffer,
    start: number,
    end: number,
    stream: OutgoingBody | undefined,
    conversation: Conversation,
  ): void {
    conversation.sendKept(buffer, start, end)
    if (stream === undefined) this.#sentBytes += end - start
    else {
      // The relay opens the window once it has a place for the object.
      conversation.openStream(stream.id, stream.source, 0)
      this.#openStreams++
    }
  }

  #hasRoom(start: number, end: number, stream: OutgoingBody | undefined, conversation: Conversation): boolean {
    if (stream !== undefined) return this.#openStreams < this.#streamsMax
    return this.#sentBytes + (end - start) <= conversation.peerLimit
  }

  /** Whether one of its groups is blocked, or earlier objects of one of its lanes wait. */
  #mustWait(buffer: Buffer, start: number, end: number): boolean {
    if (this.#blocked.size === 0 && this.#lines.size === 0) return false
    return this.#lanesOf(buffer, start, end).some((lane) => this.#blocked.has(lane) || this.#lines.has(lane))
  }

  #hold(object: OutgoingObject): void {
    const held: HeldObject = { object, lanes: this.#lanesOf(object.buffer, object.start, object.end) }
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
