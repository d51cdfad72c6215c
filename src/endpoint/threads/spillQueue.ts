import { Deque } from '../../core/deque.ts'
import { copyBytes } from '../../memoryCopy.ts'

const PAGE_BYTES = 256 * 1024
/** So many pages are kept for the next time: what comes then finds memory that was used before. */
const SPARE_PAGES_MAX = 8
/** Records of one endpoint are passed on together up to so many bytes. */
const RUN_BYTES_MAX = 64 * 1024

/** Records for one endpoint that lie in a row. */
export interface WaitingRun {
  readonly endpoint: number
  readonly buffer: Buffer
  readonly start: number
  end: number
}

/** Records that wait until there is room in a ring, in order. */
export class SpillQueue {
  readonly #runs = new Deque<WaitingRun>()
  #newest: WaitingRun | undefined
  #page: Buffer | undefined
  #end = 0
  #spare: Buffer[] = []
  /** Bytes of all records. */
  bytes = 0

  get empty(): boolean {
    return this.#runs.length === 0
  }

  get first(): WaitingRun | undefined {
    return this.#runs.first()
  }

  /** Adds a record, or several for one endpoint that lie in a row; the bytes are copied. */
  add(endpoint: number, source: Buffer, start: number, end: number): void {
    const bytes = end - start
    const page = this.#pageFor(bytes)
    const at = this.#end
    copyBytes(page, at, source, start, end)
    this.#end = at + bytes
    this.bytes += bytes
    const newest = this.#newest
    const lies = newest?.endpoint === endpoint && newest.buffer === page
    if (lies && this.#end - newest.start <= RUN_BYTES_MAX) {
      newest.end = this.#end
      return
    }
    this.#newest = { endpoint, buffer: page, start: at, end: this.#end }
    this.#runs.push(this.#newest)
  }

  #pageFor(bytes: number): Buffer {
    if (this.#page !== undefined && this.#end + bytes <= this.#page.length) return this.#page
    this.#end = 0
    this.#page =
      bytes > PAGE_BYTES ? Buffer.allocUnsafeSlow(bytes) : (this.#spare.pop() ?? Buffer.allocUnsafeSlow(PAGE_BYTES))
    return this.#page
  }

  /** The first run was passed on. */
  removeFirst(): void {
    const run = this.#runs.shift()
    if (run === undefined) return
    this.bytes -= run.end - run.start
    const next = this.#runs.first()
    if (next === undefined) {
      this.#newest = undefined
      this.#end = 0
      return
    }
    if (next.buffer !== run.buffer) this.#reuse(run.buffer)
  }

  #reuse(page: Buffer): void {
    if (page.length === PAGE_BYTES && this.#spare.length < SPARE_PAGES_MAX) this.#spare.push(page)
  }
}
