import type { RecordPort } from '../threads/recordPort.ts'

/** So much crosses over in one copy: the memory that the program keeps it in comes in pieces of that size. */
const RUN_BYTES_MAX = 64 * 1024

/**
 * Objects that arrived one behind the other, on their way to the program: they are records in a row, and cross over in one
 * copy. The frames are those that a FrameReader gives out, and are gone when it has read what it was given.
 */
export class PassedRun {
  readonly #endpoint: number
  readonly #port: RecordPort
  #buffer: Buffer | undefined
  #start = 0
  #end = 0

  constructor(endpoint: number, port: RecordPort) {
    this.#endpoint = endpoint
    this.#port = port
  }

  /** Passes an object on, at the latest with the next `flush`. */
  add(buffer: Buffer, start: number, end: number): void {
    if (buffer === this.#buffer && start === this.#end && end - this.#start <= RUN_BYTES_MAX) {
      this.#end = end
      return
    }
    this.flush()
    // At the beginning of its memory may lie what was put together of pieces, in memory that is used again at once.
    if (start === 0) this.#port.write(this.#endpoint, buffer, start, end)
    else {
      this.#buffer = buffer
      this.#start = start
      this.#end = end
    }
  }

  flush(): void {
    const buffer = this.#buffer
    if (buffer === undefined) return
    this.#buffer = undefined
    this.#port.write(this.#endpoint, buffer, this.#start, this.#end)
  }
}
