import { Packr, RESERVE_START_SPACE, REUSE_BUFFER_MODE } from 'msgpackr'
import { frameBytes, lengthBytes } from './frames.js'

const slabBytes = 512 * 1024
/** What is encoded is handed to the socket when it is this much, or at the end of the tick. */
const batchBytes = 64 * 1024
/** msgpackr leaves a buffer that has less than 2 KiB left. */
const spareBytes = 4 * 1024
const freeSlabsMax = 8
const packMode = REUSE_BUFFER_MODE | RESERVE_START_SPACE | lengthBytes

/** @typedef {Buffer & { start: number, end: number }} PackedInto What msgpackr returns in REUSE_BUFFER_MODE. */

export const packr = new Packr({ useRecords: false, moreTypes: true })

/** msgpackr writes into one buffer for the whole process; this is the sender whose slab it is. @type {Sender | undefined} */
let current

/** Encodes objects one after the other straight into slabs, which go to the outbox once per tick. */
export class Sender {
  #outbox
  /** @type {{ buffer: Buffer, unsent: number }} */
  #slab = { buffer: Buffer.allocUnsafeSlow(slabBytes), unsent: 0 }
  /** @type {{ buffer: Buffer, unsent: number }[]} */
  #free = []
  #position = 0
  #flushed = 0
  #scheduled = false
  #lastBytes = 0

  /** @param {import('./outbox.js').Outbox} outbox */
  constructor(outbox) {
    this.#outbox = outbox
  }

  /** @param {unknown} object */
  send(object) {
    if (this.#slab.buffer.length - this.#position < this.#lastBytes + spareBytes) this.#takeSlab()
    if (current !== this) {
      packr.useBuffer(this.#slab.buffer)
      packr.position = this.#position
      current = this
    }
    // The mode that is asked for returns the whole buffer with these two marks, which the type does not say.
    const target = /** @type {PackedInto} */ (packr.pack(object, packMode))
    const { start, end } = target
    if (target !== this.#slab.buffer) this.#adopt(target, start)
    const payloadBytes = end - start - lengthBytes
    target.writeUInt32LE(payloadBytes, start)
    this.#lastBytes = frameBytes(payloadBytes)
    this.#position = start + this.#lastBytes
    if (this.#position - this.#flushed >= batchBytes) this.#flush()
    else if (!this.#scheduled) {
      this.#scheduled = true
      process.nextTick(this.#flushTick)
    }
  }

  #flushTick = () => {
    this.#scheduled = false
    this.#flush()
  }

  #flush() {
    if (this.#position === this.#flushed) return
    const slab = this.#slab
    slab.unsent += 1
    const bytes = slab.buffer.subarray(this.#flushed, this.#position)
    this.#flushed = this.#position
    this.#outbox.push(bytes, () => {
      slab.unsent -= 1
      if (slab.unsent === 0 && slab !== this.#slab) this.#keep(slab)
    })
  }

  /** @param {{ buffer: Buffer, unsent: number }} slab */
  #keep(slab) {
    if (this.#free.length < freeSlabsMax) this.#free.push(slab)
  }

  /** Goes on in another slab, one that has been sent if there is one large enough. */
  #takeSlab() {
    this.#flush()
    const wanted = this.#lastBytes + spareBytes
    const old = this.#slab
    if (old.unsent > 0 || old.buffer.length < wanted) {
      const index = this.#free.findIndex(({ buffer }) => buffer.length >= wanted)
      const [used] = index < 0 ? [] : this.#free.splice(index, 1)
      this.#slab = used ?? { buffer: Buffer.allocUnsafeSlow(Math.max(slabBytes, wanted)), unsent: 0 }
    }
    this.#position = 0
    this.#flushed = 0
    current = undefined
  }

  /**
   * The object did not fit and msgpackr has made a larger buffer: it is the slab from here on.
   * @param {Buffer} buffer
   * @param {number} start
   */
  #adopt(buffer, start) {
    this.#flush()
    this.#slab = { buffer, unsent: 0 }
    this.#position = start
    this.#flushed = start
  }
}
