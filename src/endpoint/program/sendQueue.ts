import { Slab } from '../../wire/slab.ts'
import type { PreparedRoute } from './destinations.ts'

/** A large object that is not with the I/O yet. */
export interface LargeObject {
  readonly buffers: readonly ArrayBuffer[]
  readonly bodyBytes: number
  readonly sequence: number
  readonly sentAtMs: number
}

/** An object that waits for room. */
export interface WaitingObject {
  readonly route: PreparedRoute
  readonly sequence: number
  readonly bytes: number
  /** Whether a newer one may take its place. */
  readonly isReplaceable: boolean
  /** Whether the one before it was taken away: their sequences do not follow each other. */
  isBehindGap: boolean
  /** The frame of a small one. */
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
  readonly large: LargeObject | undefined
}

type About = Pick<WaitingObject, 'route' | 'sequence' | 'bytes' | 'isReplaceable'>

const noBytes = Buffer.alloc(0)

/** Objects that were taken over from the program and wait for room within `sendBytesMax`, in the order of the calls. */
export class SendQueue {
  readonly #slab = new Slab()
  #waiting: WaitingObject[] = []
  #head = 0
  bytes = 0

  get objects(): number {
    return this.#waiting.length - this.#head
  }

  get first(): WaitingObject | undefined {
    return this.#waiting[this.#head]
  }

  addFrame(about: About, source: Buffer, start: number, end: number): void {
    const at = this.#slab.copy(source, start, end)
    this.#add({ ...about, buffer: this.#slab.buffer, start: at, end: at + end - start, large: undefined })
  }

  addLarge(about: About, large: LargeObject): void {
    this.#add({ ...about, buffer: noBytes, start: 0, end: 0, large })
  }

  #add(waiting: Omit<WaitingObject, 'isBehindGap'>): void {
    this.#waiting.push({ ...waiting, isBehindGap: false })
    this.bytes += waiting.bytes
  }

  /** The object of that number, if it waits here. */
  find(sequence: number): WaitingObject | undefined {
    const index = this.#waiting.findLastIndex((waiting) => waiting.sequence === sequence)
    return index < this.#head ? undefined : this.#waiting[index]
  }

  /** Removes an object for which a newer one has been added; `undefined` if it does not wait here. */
  remove(sequence: number): WaitingObject | undefined {
    const removed = this.find(sequence)
    if (removed === undefined) return undefined
    const index = this.#waiting.lastIndexOf(removed)
    this.#waiting.splice(index, 1)
    this.bytes -= removed.bytes
    const next = this.#waiting[index]
    if (next !== undefined) next.isBehindGap = true
    return removed
  }

  removeFirst(): void {
    this.bytes -= this.first?.bytes ?? 0
    this.#head++
    if (this.#head < 1024 || this.#head * 2 < this.#waiting.length) {
      if (this.#head === this.#waiting.length) this.#clear()
      return
    }
    this.#waiting.splice(0, this.#head)
    this.#head = 0
  }

  #clear(): void {
    this.#waiting = []
    this.#head = 0
  }

  /** Empties it. */
  takeAll(): readonly WaitingObject[] {
    const all = this.#waiting.slice(this.#head)
    this.#clear()
    this.bytes = 0
    return all
  }
}
