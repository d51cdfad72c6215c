import { SPARE_BYTES_MIN } from '../records.ts'

const SPARE_BYTES_MAX = 128 * 1024 * 1024
/** A program that sends nothing large for so long gets the memory back. */
const KEPT_MS = 1_000

/**
 * Memory that large arrays were copied into and that is not needed any more. Fresh memory has to be asked of the operating
 * system page by page, which takes longer than copying into it; a program that sends arrays of one size again and again
 * gets by with what it has used before.
 */
export class SpareMemory {
  readonly #bySize = new Map<number, ArrayBuffer[]>()
  #bytes = 0
  #timer: NodeJS.Timeout | undefined

  /** Memory of exactly that size, whose content is arbitrary; `undefined` if there is none. */
  take(byteLength: number): ArrayBuffer | undefined {
    const buffer = this.#bySize.get(byteLength)?.pop()
    if (buffer !== undefined) this.#bytes -= byteLength
    return buffer
  }

  /** Takes over what nobody looks at any more. */
  give(buffers: readonly ArrayBuffer[]): void {
    for (const buffer of buffers) this.#keep(buffer)
    if (this.#timer !== undefined) this.#timer.refresh()
    else this.#timer = setTimeout(() => this.clear(), KEPT_MS).unref()
  }

  #keep(buffer: ArrayBuffer): void {
    const { byteLength } = buffer
    if (byteLength < SPARE_BYTES_MIN || byteLength > SPARE_BYTES_MAX) return
    // What was sent last is what is likely to be sent next.
    if (this.#bytes + byteLength > SPARE_BYTES_MAX) this.#forget()
    const same = this.#bySize.get(byteLength)
    if (same === undefined) this.#bySize.set(byteLength, [buffer])
    else same.push(buffer)
    this.#bytes += byteLength
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#forget()
  }

  #forget(): void {
    this.#bySize.clear()
    this.#bytes = 0
  }
}
