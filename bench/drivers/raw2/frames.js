// A frame: a length (4 bytes, little endian), that many bytes, and padding to a multiple of 8. The padding is what lets
// msgpackr, which aligns each encoding, write frame after frame into one slab without a copy.

export const lengthBytes = 4

/** @param {number} payloadBytes */
export function frameBytes(payloadBytes) {
  return Math.ceil((lengthBytes + payloadBytes) / 8) * 8
}

/** @param {Buffer} payload */
export function frameOf(payload) {
  const frame = Buffer.alloc(frameBytes(payload.length))
  frame.writeUInt32LE(payload.length, 0)
  payload.copy(frame, lengthBytes)
  return frame
}

const carryBytes = 64 * 1024
const frameBytesMax = 2 ** 30

/** Finds the frames in a stream by offsets; only a frame that is split between two chunks is copied. */
export class FrameReader {
  #onFrame
  #carry = Buffer.allocUnsafeSlow(carryBytes)
  #carried = 0

  /** @param {(buffer: Buffer, start: number, end: number) => void} onFrame Must not keep `buffer`. */
  constructor(onFrame) {
    this.#onFrame = onFrame
  }

  /**
   * @param {Buffer} chunk
   * @param {number} available
   */
  read(chunk, available) {
    let offset = this.#carried === 0 ? 0 : this.#complete(chunk, available)
    while (available - offset >= lengthBytes) {
      const length = chunk.readUInt32LE(offset)
      const next = offset + frameBytes(length)
      if (next > available) break
      this.#onFrame(chunk, offset + lengthBytes, offset + lengthBytes + length)
      offset = next
    }
    if (offset < available) this.#take(chunk, offset, available)
  }

  /**
   * Fills the carried frame from the chunk and hands it over when whole; returns where the next one begins.
   * @param {Buffer} chunk
   * @param {number} available
   */
  #complete(chunk, available) {
    let offset = 0
    if (this.#carried < lengthBytes) {
      offset = this.#take(chunk, 0, Math.min(available, lengthBytes - this.#carried))
      if (this.#carried < lengthBytes) return offset
    }
    const length = this.#carry.readUInt32LE(0)
    const wanted = frameBytes(length)
    offset = this.#take(chunk, offset, Math.min(available, offset + wanted - this.#carried))
    if (this.#carried < wanted) return offset
    this.#carried = 0
    this.#onFrame(this.#carry, lengthBytes, lengthBytes + length)
    return offset
  }

  /**
   * @param {Buffer} chunk
   * @param {number} start
   * @param {number} end
   */
  #take(chunk, start, end) {
    if (this.#carried < lengthBytes && this.#carried + end - start >= lengthBytes) {
      chunk.copy(this.#carry, this.#carried, start, start + lengthBytes - this.#carried)
      this.#makeRoom(frameBytes(this.#carry.readUInt32LE(0)))
    }
    chunk.copy(this.#carry, this.#carried, start, end)
    this.#carried += end - start
    return end
  }

  /** @param {number} wanted */
  #makeRoom(wanted) {
    if (wanted > frameBytesMax) throw new Error(`a frame of ${wanted} bytes; raw2 carries at most ${frameBytesMax}`)
    if (wanted <= this.#carry.length) return
    const larger = Buffer.allocUnsafeSlow(wanted)
    this.#carry.copy(larger, 0, 0, this.#carried)
    this.#carry = larger
  }
}
