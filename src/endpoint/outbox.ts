import type { Conversation } from '../wire/conversation.ts'
import { parseRoute } from '../wire/objectHeader.ts'
import type { ChunkSource } from '../wire/outgoingStream.ts'
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

/**
 * What an endpoint sends: each object goes into the conversation in the order of the calls, as the relay's room for it
 * allows, except that objects for a group that the relay has blocked wait here, so that those for others pass. Objects
 * are kept until the relay accepted them, and sent again when it does not know the session any more.
 */
export class Outbox {
  readonly #unresolved = new SequenceTable<OutgoingObject>()
  #queue: OutgoingObject[] = []
  #queueHead = 0
  /** By group: what waits for that group to be unblocked, in order. */
  readonly #held = new Map<string, OutgoingObject[]>()
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
    this.#blocked.add(group)
  }

  unblock(group: string): void {
    this.#blocked.delete(group)
  }

  /** A session begins at the relay: everything that was not accepted is to be sent, from the oldest on. */
  restart(streamsMax: number): void {
    this.#queue = [...this.#unresolved.values()]
    this.#queueHead = 0
    this.#held.clear()
    this.#blocked.clear()
    this.#sentBytes = 0
    this.#openStreams = 0
    this.#streamsMax = streamsMax
  }

  /** Gives the conversation what it may have now; returns whether that was anything. */
  pump(conversation: Conversation): boolean {
    let moved = false
    for (const [group, objects] of this.#held) {
      if (!this.#blocked.has(group) && this.#pumpHeld(group, objects, conversation)) moved = true
    }
    while (this.#queueHead < this.#queue.length) {
      const object = this.#queue[this.#queueHead]
      if (object === undefined) break
      const obstacle = this.#obstacleOf(object)
      if (obstacle !== undefined) this.#hold(obstacle, object)
      else if (this.#hasRoom(object, conversation)) {
        this.#give(object, conversation)
        moved = true
      } else break
      this.#queueHead++
    }
    this.#trimQueue()
    return moved
  }

  #pumpHeld(group: string, objects: OutgoingObject[], conversation: Conversation): boolean {
    let given = 0
    for (const object of objects) {
      const other = this.#blockedGroupOf(object)
      if (other !== undefined && other !== group) this.#hold(other, object)
      else if (other === undefined && this.#hasRoom(object, conversation)) this.#give(object, conversation)
      else break
      given++
    }
    if (given === objects.length) this.#held.delete(group)
    else objects.splice(0, given)
    return given > 0
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

  /** The group for whose sake an object has to wait: it is blocked, or earlier objects for it wait. */
  #obstacleOf(object: OutgoingObject): string | undefined {
    if (this.#blocked.size === 0 && this.#held.size === 0) return undefined
    const route = routeOf(object)
    if (route.kind === 'broadcast') return undefined
    return route.groups.find((group) => this.#blocked.has(group) || this.#held.has(group))
  }

  #blockedGroupOf(object: OutgoingObject): string | undefined {
    return this.#blocked.size === 0 ? undefined : routeOf(object).groups.find((group) => this.#blocked.has(group))
  }

  #hold(group: string, object: OutgoingObject): void {
    const objects = this.#held.get(group)
    if (objects === undefined) this.#held.set(group, [object])
    else objects.push(object)
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

function routeOf(object: OutgoingObject) {
  // The frame was made by this library from names that were checked.
  return parseRoute(object.buffer, object.start, object.end, () => true)
}
