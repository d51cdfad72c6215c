import { Deque } from '../../core/deque.ts'
import { RouteCache } from '../../wire/routeCache.ts'
import type { KeptRun } from './keptRuns.ts'

/** An object that waits in the lines of all its lanes. */
export interface HeldObject {
  readonly run: KeptRun
  readonly sequence: number
  readonly start: number
  readonly end: number
  readonly lanes: readonly string[]
}

/**
 * What cannot go yet, because its group is blocked or because too many large objects are under way, waits in the lines
 * of its lanes (a group, and broadcast or queue), so that the objects of other lanes pass.
 */
export class Lanes {
  readonly #routes = new RouteCache(() => true)
  /** By lane: what waits, in order. An object for several groups stands in several lines, and leaves when it is the first in all. */
  readonly #lines = new Map<string, Deque<HeldObject>>()
  /** The sequences of what waits. */
  readonly #held = new Set<number>()
  /** By lane: the large objects that are on their way and not sent to their end. */
  readonly #underWay = new Map<string, number>()
  /** Lanes that the relay has blocked. */
  readonly #blocked = new Set<string>()

  block(group: string): void {
    this.#blocked.add(laneName('produce', group))
  }

  /** Returns whether the group was blocked. */
  unblock(group: string): boolean {
    return this.#blocked.delete(laneName('produce', group))
  }

  /** Whether a frame is that of an object that is produced for this group. */
  isProducedFor(group: string, buffer: Buffer, start: number, end: number): boolean {
    const { kind, groups } = this.#routes.read(buffer, start, end)
    return kind === 'produce' && groups.includes(group)
  }

  clear(): void {
    this.#lines.clear()
    this.#held.clear()
    this.#blocked.clear()
    this.#underWay.clear()
  }

  /** Whether one of the sequences from `from` to `to` waits here. */
  holds(from: number, to: number): boolean {
    if (this.#held.size === 0) return false
    for (let sequence = from; sequence <= to; sequence++) if (this.#held.has(sequence)) return true
    return false
  }

  /** Whether one of the object's groups is blocked, or earlier objects of one of its lanes wait. */
  mustWait(buffer: Buffer, start: number, end: number): boolean {
    if (this.#blocked.size === 0 && this.#lines.size === 0) return false
    return this.#lanesOf(buffer, start, end).some((lane) => this.#blocked.has(lane) || this.#lines.has(lane))
  }

  /** A large object begins to leave. Its lanes are given to `end` when it is sent to its end, or given up. */
  begin(buffer: Buffer, start: number, end: number): readonly string[] {
    const lanes = this.#lanesOf(buffer, start, end)
    for (const lane of lanes) this.#underWay.set(lane, (this.#underWay.get(lane) ?? 0) + 1)
    return lanes
  }

  end(lanes: readonly string[]): void {
    for (const lane of lanes) {
      const left = (this.#underWay.get(lane) ?? 0) - 1
      if (left > 0) this.#underWay.set(lane, left)
      else this.#underWay.delete(lane)
    }
  }

  /** Whether a large object of one of the object's lanes is on its way. */
  isBusy(buffer: Buffer, start: number, end: number): boolean {
    return this.#underWay.size > 0 && this.#lanesOf(buffer, start, end).some((lane) => this.#underWay.has(lane))
  }

  /** What waits under this sequence is not to go any more; its place in the lines is given up when its turn comes. */
  withdraw(sequence: number): void {
    this.#held.delete(sequence)
  }

  hold(run: KeptRun, sequence: number, start: number, end: number): void {
    const held: HeldObject = { run, sequence, start, end, lanes: this.#lanesOf(run.buffer, start, end) }
    this.#held.add(sequence)
    for (const lane of held.lanes) {
      let line = this.#lines.get(lane)
      if (line === undefined) {
        line = new Deque()
        this.#lines.set(lane, line)
      }
      line.push(held)
    }
  }

  /** Offers all that need not wait any more to `take`, which says whether there was room for it; returns whether any went. */
  release(take: (held: HeldObject) => boolean): boolean {
    let moved = false
    // An object that leaves one line may have been what another line waited for.
    for (let again = this.#lines.size > 0; again; ) {
      again = false
      for (const line of this.#lines.values()) {
        for (let held = line.first(); held !== undefined && this.#isFree(held); held = line.first()) {
          if (this.#held.has(held.sequence) && !take(held)) break
          this.#leave(held)
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

  #leave(held: HeldObject): void {
    this.#held.delete(held.sequence)
    for (const lane of held.lanes) {
      const line = this.#lines.get(lane)
      line?.shift()
      if (line?.length === 0) this.#lines.delete(lane)
    }
  }

  /** The frame was made by this library from names that were checked. */
  #lanesOf(buffer: Buffer, start: number, end: number): string[] {
    const { kind, groups } = this.#routes.read(buffer, start, end)
    return groups.map((group) => laneName(kind === 'produce' ? 'produce' : 'broadcast', group))
  }
}

function laneName(kind: 'produce' | 'broadcast', group: string): string {
  return `${kind} ${group}`
}
