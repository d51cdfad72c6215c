/** Bytes handed to the socket at once; what waits behind an unfinished write is copied together by Node. */
const inFlightBytesMax = 512 * 1024
/** The largest single write: a write of many megabytes is encrypted as a whole before its first byte leaves. */
const sliceBytesMax = 256 * 1024
/** Bytes that may wait before the sender is asked to pause. */
const waitingBytesMax = 1024 * 1024

/** The bytes that wait for a socket, handed over slice by slice, so that the socket is never idle and never flooded. */
export class Outbox {
  #socket
  /** @type {{ bytes: Buffer, sent: () => void }[]} */
  #queue = []
  #first = 0
  #offset = 0
  #inFlightBytes = 0
  #waitingBytes = 0
  /** @type {Promise<void> | undefined} */
  #room
  #resolveRoom = () => {}

  /** @param {import('node:tls').TLSSocket} socket */
  constructor(socket) {
    this.#socket = socket
  }

  /** A promise while too much waits. */
  get room() {
    if (this.#waitingBytes <= waitingBytesMax) return undefined
    this.#room ??= new Promise((resolve) => {
      this.#resolveRoom = resolve
    })
    return this.#room
  }

  /**
   * @param {Buffer} bytes
   * @param {() => void} sent Called when the bytes may be overwritten.
   */
  push(bytes, sent) {
    this.#waitingBytes += bytes.length
    this.#queue.push({ bytes, sent })
    this.#pump()
  }

  #pump() {
    while (this.#inFlightBytes < inFlightBytesMax) {
      const item = this.#queue[this.#first]
      if (item === undefined) break
      const end = Math.min(item.bytes.length, this.#offset + sliceBytesMax)
      const slice = item.bytes.subarray(this.#offset, end)
      const isLast = end === item.bytes.length
      this.#offset = isLast ? 0 : end
      if (isLast) this.#first += 1
      this.#inFlightBytes += slice.length
      this.#socket.write(slice, () => this.#written(slice.length, isLast ? item.sent : undefined))
    }
    if (this.#first === this.#queue.length) {
      this.#queue = []
      this.#first = 0
    }
  }

  /**
   * @param {number} bytes
   * @param {(() => void) | undefined} sent
   */
  #written(bytes, sent) {
    this.#inFlightBytes -= bytes
    this.#waitingBytes -= bytes
    sent?.()
    this.#pump()
    if (this.#room !== undefined && this.#waitingBytes <= waitingBytesMax) {
      this.#room = undefined
      this.#resolveRoom()
    }
  }
}
