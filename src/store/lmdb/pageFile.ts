import { readSync } from 'node:fs'
import { storeCorrupt } from '../log/storeCorrupt.ts'

/** The kinds of pages, as their headers name them. */
export const PageKind = { branch: 1, leaf: 2, overflow: 4, meta: 8 } as const

/** Every page that is not the continuation of another begins with a header. */
export const PAGE_HEADER_BYTES = 24

const PAGE_BYTES_MIN = 512
const PAGE_BYTES_MAX = 65_536
const TWO_TO_32 = 4_294_967_296

/** What is wrong with a page of the data file. */
export function pageCorrupt(page: number, what: string): Error {
  return storeCorrupt(`Page ${page} of the data file`, what)
}

/** A number of 64 bits; one that is too large to be exact is too large for whatever it is compared with, too. */
export function read64(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset) + bytes.readUInt32LE(offset + 4) * TWO_TO_32
}

/**
 * The pages of a data file, read and not mapped: a page number that leads nowhere is an error here, and would be the end of the
 * process in a mapping.
 *
 * ```
 *  0        8       16      18      20                 24
 *  +--------+-------+-------+-------+------------------+------
 *  | number | txnid | pad   | kind  | lower u16, upper | ...
 *  | u64    | u64   | u16   | u16   | u16; or the run's|
 *  |        |       |       |       | pages u32        |
 *  +--------+-------+-------+-------+------------------+------
 * ```
 */
export class PageFile {
  readonly fileBytes: number
  readonly #descriptor: number
  #pageBytes = 0

  constructor(descriptor: number, fileBytes: number) {
    this.#descriptor = descriptor
    this.fileBytes = fileBytes
  }

  get pageBytes(): number {
    return this.#pageBytes
  }

  set pageBytes(bytes: number) {
    const isPowerOfTwo = (bytes & (bytes - 1)) === 0
    if (bytes < PAGE_BYTES_MIN || bytes > PAGE_BYTES_MAX || !isPowerOfTwo)
      throw pageCorrupt(0, `says that pages have ${bytes} bytes, which cannot be`)
    this.#pageBytes = bytes
  }

  /** Whole pages that the file has. */
  get pages(): number {
    return Math.floor(this.fileBytes / this.#pageBytes)
  }

  /** Bytes of the file; `page` is for the message if there are not so many. */
  read(page: number, offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let read = 0; read < length; ) {
      const count = readSync(this.#descriptor, bytes, read, length - read, offset + read)
      if (count === 0) throw pageCorrupt(page, 'is not there: the file was cut off')
      read += count
    }
    return bytes
  }

  /** A whole page, of which the header was checked. */
  page(number: number, kinds: readonly number[], txnid: number): Buffer {
    const bytes = this.read(number, number * this.#pageBytes, this.#pageBytes)
    checkHeader(bytes, number, kinds, txnid)
    return bytes
  }

  /** The header alone. */
  header(number: number, kind: number, txnid: number): Buffer {
    const bytes = this.read(number, number * this.#pageBytes, PAGE_HEADER_BYTES)
    checkHeader(bytes, number, [kind], txnid)
    return bytes
  }
}

/** A page from a later transaction than the last one would be changed in place by the next. */
function checkHeader(bytes: Buffer, number: number, kinds: readonly number[], txnid: number): void {
  if (read64(bytes, 0) !== number) throw pageCorrupt(number, 'does not bear its own number')
  if (read64(bytes, 8) > txnid) throw pageCorrupt(number, 'is of a transaction that has not been')
  if (!kinds.includes(bytes.readUInt16LE(18))) throw pageCorrupt(number, 'is not of the kind that it should be')
}
