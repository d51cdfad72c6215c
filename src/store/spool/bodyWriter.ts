import { fixedLimits } from '../../limits.ts'
import type { BodyFile } from './bodyFiles.ts'
import type { BodyFileUse } from './bodyFileUse.ts'
import type { BodyParts } from './bodyParts.ts'

const { bodyPieceBytes } = fixedLimits
/** When the disk was busy, more is written at once. */
const WRITE_BYTES_MAX = 4 * bodyPieceBytes

/** Writes the parts of one body to its file as they come, in large pieces, one at a time. */
export class BodyWriter {
  /** How far it is written. */
  writtenEnd = 0
  readonly #file: BodyFileUse
  readonly #parts: BodyParts
  readonly #bytes: number
  readonly #progressed: () => void
  readonly #failed: (cause: unknown) => void
  #isWriting = false
  #isStopped = false

  constructor(options: {
    file: BodyFileUse
    parts: BodyParts
    /** Of the whole body. */
    bytes: number
    progressed: () => void
    /** It does not write any more. */
    failed: (cause: unknown) => void
  }) {
    this.#file = options.file
    this.#parts = options.parts
    this.#bytes = options.bytes
    this.#progressed = options.progressed
    this.#failed = options.failed
  }

  /** Whether it will not write what is not written yet. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  /** Parts have come. */
  push(): void {
    if (this.#isWriting || this.#nextBytes() === 0) return
    this.#isWriting = true
    this.#file
      .use((file) => this.#write(file))
      .then(
        () => {
          this.#isWriting = false
          this.push()
        },
        (cause: unknown) => {
          this.#isWriting = false
          if (this.#isStopped) return
          this.#isStopped = true
          this.#failed(cause)
        },
      )
  }

  stop(): void {
    this.#isStopped = true
  }

  async #write(file: BodyFile): Promise<void> {
    for (let bytes = this.#nextBytes(); bytes > 0; bytes = this.#nextBytes()) {
      await file.write(this.writtenEnd, this.#parts.pieces(this.writtenEnd, bytes))
      this.writtenEnd += bytes
      if (!this.#isStopped) this.#progressed()
    }
  }

  #nextBytes(): number {
    const { end } = this.#parts
    const unwritten = end - this.writtenEnd
    if (this.#isStopped || (unwritten < bodyPieceBytes && end < this.#bytes)) return 0
    return Math.min(unwritten, WRITE_BYTES_MAX)
  }
}
