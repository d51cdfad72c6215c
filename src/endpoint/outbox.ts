import { Deque } from '../core/deque.ts'
import { createError } from '../errors.ts'
import type { Conversation } from '../wire/conversation.ts'
import type { ChunkSource } from '../wire/outgoingStream.ts'
import { RouteCache } from '../wire/routeCache.ts'
import { SequenceTable } from './sequenceTable.ts'

/** An object that the program sent and the relay has not accepted yet. */
export interface OutgoingObject {
  readonly sequence: number
  /** The OBJECT frame, or the STREAM_BEGIN of a large object. */
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
  /** The body of a large object, and the number under which it goes. */
  readonly stream:
    | { readonly id: number; readonly source: ChunkSource; readonly parts: readonly ArrayBuffer[] }
    | undefined
}

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
  readonly #unresolved = new SequenceTable<OutgoingObject>()
  readonly #routes = new RouteCache(() => true)
  #queue: OutgoingObject[] = []
  #queueHead = 0
  /** By lane: what waits, in order. An object for several groups stands in several lines, and leaves when it is the first in all. */
  readonly #lines = new Map<string, Deque<HeldObject>>()
  /** Lanes that the relay has blocked. */
  readonly #blocked = new Set<string>()
  #sentBytes = 0
  #openStreams = 0
  #streamsMax = 1

  /** Objects that the relay has not accepted. */
  get unresolved(): number {
    return this.#unresolved.size
  }

  get unresolvedObjects(): Iterable<OutgoingObject> {
    return this.#unresolved.values()
  }

  add(object: OutgoingObject): void {
    this.#unresolved.push(object.sequence, object)
    this.#queue.push(object)
  }

  /** The relay has accepted or rejected an object. */
  resolve(sequence: number, conversation: Conversation | undefined): OutgoingObject | undefined {
    const object = this.#unresolved.take(sequence)
    if (object?.stream !== undefined && conversation?.hasStream(object.stream.id) === true) {
      conversation.closeStream(object.stream.id)
      this.#openStreams--
    }
    return object
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
    this.#queue = [...this.#unresolved.values()]
    this.#queueHead = 0
    this.#lines.clear()
    this.#blocked.clear()
    this.#sentBytes = 0
    this.#openStreams = 0
    this.#streamsMax = streamsMax
  }

  /** Gives the conversation what it may have now; returns whether that was anything. */
  pump(conversation: Conversation): boolean {
    let moved = this.#pumpLines(conversation)
    while (this.#queueHead < this.#queue.length) {
      const object = this.#queue[this.#queueHead]
      if (object === undefined) break
      if (this.#mustWait(object)) this.#hold(object)
      else if (this.#hasRoom(object, conversation)) {
        this.#give(object, conversation)
        moved = true
      } else if (object.stream !== undefined) this.#hold(object)
      else break
      this.#queueHead++
    }
    this.#trimQueue()
    return moved
  }

  #pumpLines(conversation: Conversation): boolean {
    let moved = false
    // An object that leaves one line may have been what another line waited for.
    for (let again = this.#lines.size > 0; again; ) {
      again = false
      for (const line of this.#lines.values()) {
        for (let held = line.first(); held !== undefined && this.#isFree(held); held = line.first()) {
          if (!this.#hasRoom(held.object, conversation)) break
          this.#leaveLines(held)
          this.#give(held.object, conversation)
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

  #give(object: OutgoingObject, conversation: Conversation): void {
    conversation.sendKept(object.buffer, object.start, object.end)
    if (object.stream === undefined) this.#sentBytes += object.end - object.start
    else {
      // The relay opens the window once it has a place for the object.
      conversation.openStream(object.stream.id, object.stream.source, 0)
      this.#openStreams++
    }
  }

  #hasRoom(object: OutgoingObject, conversation: Conversation): boolean {
    if (object.stream !== undefined) return this.#openStreams < this.#streamsMax
    return this.#sentBytes + (object.end - object.start) <= conversation.peerLimit
  }

  /** Whether one of its groups is blocked, or earlier objects of one of its lanes wait. */
  #mustWait(object: OutgoingObject): boolean {
    if (this.#blocked.size === 0 && this.#lines.size === 0) return false
    return this.#lanesOf(object).some((lane) => this.#blocked.has(lane) || this.#lines.has(lane))
  }

  #hold(object: OutgoingObject): void {
    const held: HeldObject = { object, lanes: this.#lanesOf(object) }
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
  #lanesOf({ buffer, start, end }: OutgoingObject): string[] {
    const { kind, groups } = this.#routes.read(buffer, start, end)
    return groups.map((group) => laneName(kind, group))
  }

  #trimQueue(): void {
    if (this.#queueHead === this.#queue.length) {
      if (this.#queueHead > 0) this.#queue = []
      this.#queueHead = 0
    } else if (this.#queueHead > 4096 && this.#queueHead * 2 > this.#queue.length) {
      this.#queue.splice(0, this.#queueHead)
      this.#queueHead = 0
    }
  }
}

function laneName(kind: string, group: string): string {
  return `${kind} ${group}`
}
