import { connect as connectTls } from 'node:tls'
import { Intake } from '../intake.js'
import { FrameReader, frameOf } from './frames.js'
import { Outbox } from './outbox.js'
import { packr, Sender } from './sender.js'

const readBytes = 64 * 1024
const highWaterMark = 1024 * 1024

/** One connection of raw2. */
class RawLink {
  #intake = new Intake()
  #range = { start: 0, end: 0 }
  #welcomed = () => {}
  #stopped = false

  constructor() {
    this.reader = new FrameReader((buffer, start, end) => this.#receive(buffer, start, end))
    this.welcome = new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      this.#welcomed = resolve
    })
  }

  /** @param {import('node:tls').TLSSocket} socket */
  attach(socket) {
    this.socket = socket
    this.outbox = new Outbox(socket)
    this.sender = new Sender(this.outbox)
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the relay closed the connection')))
  }

  produce = (/** @type {unknown} */ object) => {
    this.sender?.send(object)
    // Nothing is ever confirmed.
    return undefined
  }
  broadcast = this.produce
  room = () => this.outbox?.room

  consume = this.#intake.take
  listen = this.#intake.take

  stop = async () => {
    this.#stopped = true
    this.socket?.destroy()
  }

  /**
   * @param {Buffer} buffer
   * @param {number} start
   * @param {number} end
   */
  #receive(buffer, start, end) {
    if (start === end) return this.#welcomed()
    this.#range.start = start
    this.#range.end = end
    this.#intake.hand(packr.unpack(buffer, this.#range))
  }

  /** @param {unknown} error */
  #fail(error) {
    if (this.#stopped) return
    this.#intake.fail(error)
  }
}

/**
 * @param {{ port: number, certificate: string }} address
 * @param {import('../../harness/types.js').LinkOptions} options
 */
export async function connect({ port, certificate }, { receives = [], sendsTo = '' }) {
  const link = new RawLink()
  const onread = {
    buffer: Buffer.allocUnsafeSlow(readBytes),
    callback: (/** @type {number} */ bytes, /** @type {Uint8Array} */ buffer) => {
      link.reader.read(/** @type {Buffer} */ (buffer), bytes)
      return true
    },
  }
  // Node reads decrypted bytes into this buffer again and again; the types only know it from plain sockets.
  const options = { port, host: '127.0.0.1', ca: certificate, minVersion: tlsVersion, highWaterMark, onread }
  const socket = connectTls(/** @type {import('node:tls').ConnectionOptions} */ (options))
  socket.setNoDelay(true)
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })
  link.attach(socket)
  socket.write(frameOf(Buffer.from(JSON.stringify({ receives: [receives].flat(), sendsTo }))))
  await link.welcome
  return link
}

const tlsVersion = 'TLSv1.3'
