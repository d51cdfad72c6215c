import type { Socket } from 'node:net'
import { hostAndPort, plainAddress } from '../hostAndPort.ts'
import type { ChannelBinding } from '../security/channelProof.ts'
import { SocketInput } from './socketInput.ts'
import type { Transport } from './transport.ts'

/** Writes larger than this are cut: one TLS write of more than 2 GiB fails and hangs the peer. */
const WRITE_BYTES_MAX = 16 * 1024 * 1024

/** A transport over a TCP or TLS socket that is connected. */
export class SocketTransport implements Transport {
  readonly peer: string
  readonly peerAddress: string
  readonly channelBinding: ChannelBinding
  onData: (bytes: Buffer) => void = () => undefined
  onDrain: () => void = () => undefined
  onClose: (error: Error | undefined) => void = () => undefined
  readonly #socket: Socket
  #error: Error | undefined
  #closed = false

  /** With `input`, the socket was made with its `onread`. `from`: where the peer is, if the socket may not know it any more. */
  constructor(
    socket: Socket,
    channelBinding: ChannelBinding,
    { input = SocketInput.of(socket), from }: { input?: SocketInput; from?: { host: string; port: number } } = {},
  ) {
    this.#socket = socket
    this.channelBinding = channelBinding
    this.peerAddress = from?.host ?? plainAddress(socket.remoteAddress ?? 'unknown')
    this.peer = hostAndPort(this.peerAddress, from?.port ?? socket.remotePort ?? 0)
    // Small frames leave at once: they are gathered here, not by the operating system.
    socket.setNoDelay(true)
    readBeforeEnding(socket)
    input.receiver = (bytes) => this.onData(bytes)
    socket.on('drain', () => this.onDrain())
    socket.on('error', (error) => {
      this.#error = error
    })
    socket.on('close', () => {
      this.#closed = true
      this.onClose(this.#error)
    })
  }

  get closed(): boolean {
    return this.#closed || this.#socket.closed
  }

  get pendingBytes(): number {
    return this.#socket.writableLength
  }

  write(bytes: Buffer): void {
    if (bytes.length <= WRITE_BYTES_MAX) {
      this.#socket.write(bytes)
      return
    }
    for (let at = 0; at < bytes.length; at += WRITE_BYTES_MAX) {
      this.#socket.write(bytes.subarray(at, Math.min(bytes.length, at + WRITE_BYTES_MAX)))
    }
  }

  cork(): void {
    this.#socket.cork()
  }

  uncork(): void {
    this.#socket.uncork()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }
}

/**
 * A peer that was killed may have sent something before, which lies in the operating system when the next write fails: an
 * acknowledgement, or that its program has seen an object. Node.js would end the socket without reading it.
 */
function readBeforeEnding(socket: Socket): void {
  const { destroy } = socket
  socket.destroy = (error?: Error) => {
    if (error === undefined || !('syscall' in error) || error.syscall !== 'write') return destroy.call(socket, error)
    // All that has come is read between one turn of the event loop and the next but one.
    setImmediate(() => setImmediate(() => destroy.call(socket, error)))
    return socket
  }
}
