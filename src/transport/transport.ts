// Connections: the only folder that opens sockets. A transport carries bytes; a link carries frames over one.
// It may import wire and security; it knows neither endpoints nor the relay.
// Changes that belong here: connecting and listening, TLS, heartbeats, how reads and writes are gathered.

import type { ChannelBinding } from '../security/channelProof.ts'
import type { LinkWriter } from '../wire/reliableChannel.ts'

/** A connection to a peer that carries bytes: TLS, plain TCP, or memory in tests. */
export interface Transport extends LinkWriter {
  /** The peer's address, for people: `192.0.2.1:41234`. */
  readonly peer: string
  /** The peer's address without the port, for counting attempts. */
  readonly peerAddress: string
  /** What both ends, and nobody else, know of this channel. */
  readonly channelBinding: ChannelBinding
  /** Whether the connection is gone already; `onClose` will not be called then. */
  readonly closed: boolean
  /** Some bytes came; they are overwritten after the call. */
  onData: (bytes: Buffer) => void
  /** What was written has been taken by the operating system. */
  onDrain: () => void
  /** The connection is gone; called once. */
  onClose: (error: Error | undefined) => void
  /** Writes what is pending and then ends the connection. */
  end(): void
  /** Ends the connection at once. */
  destroy(): void
  pause(): void
  resume(): void
}
