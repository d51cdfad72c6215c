import { Slab } from '../wire/slab.ts'
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
  readonly bytes: number
  /** The frame of a small one. */
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
  readonly large: LargeObject | undefined
}

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

  addFrame(route: PreparedRoute, source: Buffer, start: number, end: number): void {
    const at = this.#slab.copy(source, start, end)
    const bytes = end - start
    this.#add({ route, bytes, buffer: this.#slab.buffer, start: at, end: at + bytes, large: undefined })
  }

  addLarge(route: PreparedRoute, bytes: number, large: LargeObject): void {
    this.#add({ route, bytes, buffer: noBytes, start: 0, end: 0, large })
  }

  #add(waiting: WaitingObject): void {
    this.#waiting.push(waiting)
    this.bytes += waiting.bytes
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
