import { type ChannelBinding, noChannelBinding } from '../security/channelProof.ts'
import type { Transport } from './transport.ts'

/** How the bytes between two memory transports travel. */
export interface MemoryLinkOptions {
  /**
   * Calls `run` later, never at once. What was written first arrives first, whatever the order of these calls; how long
   * they take is the delay of the link.
   */
  schedule(run: () => void): void
  /** Cuts what was written into pieces of these sizes, which add up to `bytes`; as it is, if absent. */
  split?(bytes: number): readonly number[]
  /** What both ends know of the channel. */
  readonly channelBinding?: ChannelBinding
  readonly peerAddress?: string
}

/** Two transports that are joined in memory, and what may happen between them. */
export interface MemoryLink {
  readonly near: MemoryTransport
  readonly far: MemoryTransport
  /** Breaks the connection: what is under way is lost, and both ends learn of it. */
  cut(error?: Error): void
  /** From now on nothing arrives any more, and nobody learns of it: a pulled cable. */
  mute(): void
}

/** Joins two transports in memory: for tests and simulations. */
export function createMemoryLink(options: MemoryLinkOptions): MemoryLink {
  const near = new MemoryTransport(options, 'near')
  const far = new MemoryTransport(options, 'far')
  near.join(far)
  far.join(near)
  return {
    near,
    far,
    cut(error) {
      near.break(error)
      far.break(error)
    },
    mute() {
      near.muted = true
      far.muted = true
    },
  }
}

/** One end of a connection in memory. */
export class MemoryTransport implements Transport {
  readonly peer: string
  readonly peerAddress: string
  readonly channelBinding: ChannelBinding
  /** What is written goes nowhere. */
  muted = false
  onData: (bytes: Buffer) => void = () => undefined
  onDrain: () => void = () => undefined
  onClose: (error: Error | undefined) => void = () => undefined
  readonly #options: MemoryLinkOptions
  #other: MemoryTransport | undefined
  /** Written here and not yet read there; `undefined` marks the end. */
  #underWay: (Buffer | undefined)[] = []
  /** How many of them have come as far as the other end. */
  #arrived = 0
  #pendingBytes = 0
  #paused = false
  #ending = false
  #closed = false

  constructor(options: MemoryLinkOptions, name: string) {
    this.#options = options
    this.peerAddress = options.peerAddress ?? '127.0.0.1'
    this.peer = `${this.peerAddress}:${name}`
    this.channelBinding = options.channelBinding ?? noChannelBinding()
  }

  join(other: MemoryTransport): void {
    this.#other = other
  }

  get closed(): boolean {
    return this.#closed
  }

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /** The bytes are copied, as they are by a network: neither side sees what the other does to its memory later. */
  write(bytes: Buffer): void {
    if (this.#closed || this.#ending) return
    let at = 0
    for (const size of this.#options.split?.(bytes.length) ?? [bytes.length]) {
      this.#send(Buffer.from(bytes.subarray(at, at + size)))
      at += size
    }
    this.#pendingBytes += bytes.length
  }

  end(): void {
    if (this.#closed || this.#ending) return
    this.#ending = true
    this.#send(undefined)
  }

  destroy(): void {
    const other = this.#other
    this.break(undefined)
    this.#options.schedule(() => {
      if (!this.muted) other?.break(undefined)
    })
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#options.schedule(() => this.#other?.deliver())
  }

  /** This end learns that the connection is gone. */
  break(error: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#underWay = []
    this.#arrived = 0
    this.#pendingBytes = 0
    this.#options.schedule(() => this.onClose(error))
  }

  #send(piece: Buffer | undefined): void {
    this.#underWay.push(piece)
    this.#options.schedule(() => {
      if (this.#closed) return
      this.#arrived++
      this.deliver()
    })
  }

  /** Hands over what has come as far as the other end, if that reads. */
  deliver(): void {
    const other = this.#other
    while (this.#arrived > 0 && !this.muted && other !== undefined && !other.#paused && !other.#closed) {
      this.#arrived--
      const piece = this.#underWay.shift()
      if (piece === undefined) {
        other.break(undefined)
        this.break(undefined)
        return
      }
      this.#pendingBytes -= piece.length
      other.onData(piece)
      if (this.#pendingBytes === 0 && !this.#closed) this.onDrain()
    }
  }
}
