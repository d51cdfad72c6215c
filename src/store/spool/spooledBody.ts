import { createError, type ObjectRelayError } from '../../errors.ts'
import { fixedLimits } from '../../limits.ts'
import type { LargeBody, LargeReader } from '../store.ts'
import { BodyFileUse } from './bodyFileUse.ts'
import { BodyParts } from './bodyParts.ts'
import { BodyReadBack } from './bodyReadBack.ts'
import { BodyWriter } from './bodyWriter.ts'
import { ReaderPace } from './readerPace.ts'
import type { SpoolBudget } from './spoolBudget.ts'
import { type ReadableBody, SpooledReader } from './spooledReader.ts'

const { bodyTailBytes, bodyPieceBytes, bodyUnwrittenBytesMax } = fixedLimits

/** What a body needs that does not stay in memory. */
interface OnDisk {
  readonly file: BodyFileUse
  /** `undefined` for what an earlier run has written. */
  readonly writer: BodyWriter | undefined
  readonly readBack: BodyReadBack
}

/**
 * A large object in a store. What comes lies in memory until it is written to a file, and for a moment longer: receivers that
 * keep up get it as it came, and never wait for a disk. Others read it back. When the disk is slower than the network, the
 * sender is held back.
 */
export class SpooledBody implements LargeBody, ReadableBody {
  readonly bytes: number
  readonly objects: number = 1
  readonly begin: Buffer
  /** Of its file. */
  readonly name: string
  onRoom: ((error?: ObjectRelayError) => void) | undefined
  readonly #budget: SpoolBudget
  /** A piece of the body that ends where it has come to, and begins not behind what is written. */
  readonly #parts: BodyParts
  readonly #readers = new Set<SpooledReader>()
  readonly #disk: OnDisk | undefined
  /** It took room among those that stay in memory. */
  readonly #isWhole: boolean
  readonly #pace: ReaderPace
  #roomEnd: number
  #failure: ObjectRelayError | undefined
  #finishing: { resolve: () => void; reject: (error: ObjectRelayError) => void } | undefined
  #isSafe: boolean
  #endReleased: boolean
  #isReleased = false
  #isGone = false

  /** `isThere`: it lies in its file, whole. */
  constructor(budget: SpoolBudget, options: { begin: Buffer; bytes: number; name: string; isThere: boolean }) {
    const { begin, bytes, name, isThere } = options
    this.#budget = budget
    this.begin = begin
    this.bytes = bytes
    this.name = name
    this.#endReleased = isThere
    this.#isWhole = !isThere && budget.takesWhole(bytes)
    this.#parts = new BodyParts(this.#isWhole ? budget.wholeMemory : budget.passingMemory, isThere ? bytes : 0)
    this.#disk = this.#isWhole ? undefined : this.#onDisk(isThere)
    this.#isSafe = isThere || budget.options.isTemporary
    this.#pace = new ReaderPace(budget.options.clock, () => this.#raiseRoom())
    // How fast it may come depends on receivers, which are not there yet.
    this.#roomEnd = this.#disk === undefined || isThere ? bytes : Math.min(bytes, bodyPieceBytes)
  }

  #onDisk(isThere: boolean): OnDisk | undefined {
    const { bytes, name } = this
    const files = isThere ? this.#budget.options.files : this.#budget.writableFiles
    if (files === undefined) return undefined
    const file = new BodyFileUse(files, name, isThere)
    const readBack = new BodyReadBack({ budget: this.#budget, file, loaded: () => this.#wakeReaders() })
    if (isThere) return { file, writer: undefined, readBack }
    const writer = new BodyWriter({
      file,
      parts: this.#parts,
      bytes,
      progressed: () => this.#progressed(),
      failed: (cause) => this.#cannotBeWritten(cause),
    })
    return { file, writer, readBack }
  }

  get receivedBytes(): number {
    return this.#parts.end
  }

  get roomEnd(): number {
    return this.#roomEnd
  }

  writeAt(offset: number, part: Buffer): void {
    const received = this.#parts.end
    if (!(offset <= received && offset + part.length <= this.bytes)) {
      const message =
        'The peer sent a part of a large object that does not follow the one before, or goes beyond its end.'
      throw createError('PROTOCOL_VIOLATION', message)
    }
    const fresh = part.subarray(received - offset)
    if (fresh.length === 0 || this.#isGone || this.#failure !== undefined) return
    this.#parts.add(fresh)
    this.#budget.countParts(fresh.length)
    this.#disk?.writer?.push()
    this.#wakeReaders()
    this.#raiseRoom()
  }

  finish(): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#isSafe) return undefined
    return new Promise((resolve, reject) => {
      this.#finishing = { resolve, reject }
      this.#makeSafe()
    })
  }

  releaseEnd(): void {
    this.#endReleased = true
    this.#wakeReaders()
  }

  openReader(onReadable: () => void): LargeReader {
    const reader = new SpooledReader(this, onReadable)
    this.#readers.add(reader)
    if (this.#disk !== undefined) this.#disk.file.staysOpen = true
    return reader
  }

  closeReader(reader: SpooledReader): void {
    if (!this.#readers.delete(reader)) return
    this.#trim()
    this.#raiseRoom()
    this.#removeIfUnused()
  }

  readerMoved(): void {
    this.#raiseRoom()
  }

  availableFrom(offset: number): number {
    const { start, end } = this.#parts
    // Nobody has all of an object before it was accepted.
    const readable = this.#endReleased ? end : Math.min(end, this.bytes - 1)
    if (offset >= start || this.#disk === undefined) return readable
    return Math.min(this.#disk.readBack.availableFrom(offset, this.#writtenEnd), readable)
  }

  pieces(offset: number, length: number): readonly Buffer[] {
    if (offset >= this.#parts.start || this.#disk === undefined) return this.#parts.pieces(offset, length)
    return [this.#disk.readBack.pieceAt(offset, length)]
  }

  /** The object is needed no more. Who reads it reads it to its end; then it is gone. */
  release(): void {
    this.#isReleased = true
    this.#disk?.writer?.stop()
    this.#removeIfUnused()
  }

  get #writtenEnd(): number {
    return this.#disk?.writer?.writtenEnd ?? (this.#disk === undefined ? 0 : this.bytes)
  }

  #progressed(): void {
    this.#trim()
    this.#makeSafe()
    this.#raiseRoom()
  }

  #roomFrom(writtenEnd: number): number {
    return Math.min(this.bytes, writtenEnd + (this.#budget.isCrowded ? bodyPieceBytes : bodyUnwrittenBytesMax))
  }

  #raiseRoom(): void {
    if (this.#roomEnd === this.bytes) return
    // What is not written, and cannot be, stays in memory.
    const isBroken = this.#disk?.writer?.isStopped === true && this.#isSafe
    const roomEnd = isBroken ? this.bytes : this.#pacedRoom()
    if (roomEnd <= this.#roomEnd) return
    this.#roomEnd = roomEnd
    this.onRoom?.()
  }

  #pacedRoom(): number {
    return this.#pace.limit(this.#roomFrom(this.#writtenEnd), this.#parts.end, this.#readers)
  }

  #cannotBeWritten(cause: unknown): void {
    const error = this.#budget.writingFailed(cause)
    if (this.#isSafe) {
      this.#raiseRoom()
      return
    }
    this.#failure = error
    this.#finishing?.reject(error)
    this.onRoom?.(error)
  }

  /** Once all of it is written, and somebody waits for that. */
  #makeSafe(): void {
    const finishing = this.#finishing
    const file = this.#disk?.file
    if (finishing === undefined || file === undefined || this.#writtenEnd < this.bytes) return
    this.#finishing = undefined
    file
      .use((opened) => opened.sync())
      .then(
        () => {
          this.#isSafe = true
          this.#trim()
          finishing.resolve()
        },
        (cause: unknown) => {
          this.#failure = this.#budget.writingFailed(cause)
          finishing.reject(this.#failure)
        },
      )
  }

  /** Lets go of what is in the file and no receiver is about to read. */
  #trim(): void {
    const writtenEnd = this.#writtenEnd
    let keepFrom = writtenEnd
    for (const { position } of this.#readers) keepFrom = Math.min(keepFrom, position)
    keepFrom = Math.max(keepFrom, writtenEnd - (this.#budget.isCrowded ? 0 : bodyTailBytes))
    this.#budget.countParts(-this.#parts.dropBefore(keepFrom))
    if (this.#disk !== undefined && this.#isSafe && this.#readers.size === 0 && writtenEnd === this.bytes)
      this.#disk.file.staysOpen = false
  }

  #wakeReaders(): void {
    for (const reader of this.#readers) reader.wake()
  }

  #removeIfUnused(): void {
    if (!this.#isReleased || this.#isGone || this.#readers.size > 0) return
    this.#isGone = true
    this.#pace.stop()
    // If some of it is just being written, it does not matter any more what.
    this.#budget.countParts(-this.#parts.dropBefore(this.#parts.end))
    if (this.#isWhole) this.#budget.leavesWhole(this.bytes)
    this.#disk?.readBack.close()
    this.#disk?.file.remove()
  }
}
