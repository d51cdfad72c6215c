import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type TlsOptions, type Server as TlsServer } from 'node:tls'
import { createError, type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { channelBindingOf, noChannelBinding } from '../security/channelProof.ts'
import { explainApplicationProtocol, explainTlsError } from '../security/tlsErrors.ts'
import {
  type EvictionReason,
  type PendingConnection,
  PendingConnections,
  type PendingPlace,
} from './pendingConnections.ts'
import { readPreface, sayWhatIsSpoken, writePreface } from './preface.ts'
import { SocketTransport } from './socketTransport.ts'
import type { Transport } from './transport.ts'

export interface ListenOptions {
  readonly host: string | undefined
  readonly port: number
  /** `undefined` for a relay without TLS. */
  readonly tls: TlsOptions | undefined
  readonly handshakeMs: number
  readonly unauthenticatedMax: number
}

export interface ListenHandler {
  connected(connection: PendingConnection): void
  /** A peer was turned away before anything was known of it. */
  refused(error: ObjectRelayError, peer: string): void
}

export interface Listener {
  readonly port: number
  readonly address: string
  /** Connections that have not proven the password. */
  readonly unauthenticated: number
  /** Uses other keys for connections that come from now on; does nothing without TLS. Throws what is wrong with them. */
  useKeys(tls: TlsOptions): void
  /** Stops listening; connections that stand are left alone. */
  close(): void
}

/** Listens for endpoints. Rejects with `PORT_IN_USE` or `CANNOT_LISTEN`. */
export async function listen(options: ListenOptions, handler: ListenHandler): Promise<Listener> {
  const server = createTcpServer()
  await untilListening(server, options)
  const door = new Door(options, handler)
  server.on('connection', (socket: Socket) => door.admit(socket))
  const address = server.address()
  if (address === null || typeof address === 'string')
    throw createError('CANNOT_LISTEN', 'The relay listens on no port.')
  return {
    port: address.port,
    address: address.address,
    get unauthenticated() {
      return door.unauthenticated
    },
    useKeys: (tls) => door.useKeys(tls),
    close: () => void server.close(),
  }
}

/** TLS handshakes that are begun before the relay looks at anything else again: what was begun goes before what is new. */
const BEGINNINGS_PER_TURN = 16

/** A connection that has a place at the door. */
interface Visitor {
  readonly socket: Socket
  readonly peer: string
  readonly place: PendingPlace
}

/** Bounds what those may cost who have not proven the password: their number, and the time that each has. */
class Door {
  readonly #options: ListenOptions
  readonly #handler: ListenHandler
  readonly #places: PendingConnections
  readonly #tls: TlsServer | undefined
  /** By remote address and port, since node:tls does not tell which TCP connection a TLS socket is on. */
  readonly #visitors = new Map<string, Visitor>()
  /** Those that have said something and whose TLS handshake has not begun, in order. */
  #beginning: Visitor[] = []
  #isTurnDue = false
  readonly #tickMs: number
  #ticking: NodeJS.Timeout | undefined
  #tickedAtMs = 0

  constructor(options: ListenOptions, handler: ListenHandler) {
    const { handshakeMs, unauthenticatedMax } = options
    this.#options = options
    this.#handler = handler
    this.#places = new PendingConnections({ placesMax: unauthenticatedMax, silentMsMax: handshakeMs })
    this.#tickMs = Math.min(Math.max(handshakeMs / 20, 5), 100)
    this.#tls = options.tls === undefined ? undefined : this.#tlsServer(options.tls)
  }

  get unauthenticated(): number {
    return this.#places.size
  }

  useKeys(tls: TlsOptions): void {
    this.#tls?.setSecureContext(tls)
  }

  admit(socket: Socket): void {
    socket.on('error', () => undefined)
    // It was gone before it could be looked at.
    if (socket.remoteAddress === undefined) {
      socket.destroy()
      return
    }
    const peer = peerOf(socket)
    this.#startTicking()
    const place = this.#places.enter(socket.remoteAddress, (reason) => this.#evict(peer, socket, reason))
    const visitor: Visitor = { socket, peer, place }
    this.#visitors.set(peer, visitor)
    socket.on('close', () => this.#leave(visitor))
    if (this.#places.isCrowded) this.#requestTurn()
    if (this.#tls === undefined) void this.#greetPlainly(visitor)
    else this.#awaitFirstBytes(visitor)
  }

  /** This server never listens: connections are given to it when they have something to say. */
  #tlsServer(options: TlsOptions): TlsServer {
    // How long a peer may be silent is bounded by its place, and a busy relay must not take that for silence.
    const server = createTlsServer({ ...options, handshakeTimeout: 0x7fff_ffff })
    server.on('secureConnection', (socket: TLSSocket) => this.#greetSecurely(socket))
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      const peer = peerOf(socket)
      // Whoever ran out of time was reported as such already.
      const known = this.#visitors.get(peer)
      if (known === undefined && socket.remotePort !== undefined) {
        socket.destroy()
        return
      }
      const refusal = explainTlsError(error, contextOf(socket))
      this.#refuse(refusal, peer)
      if (refusal.code === 'SECURITY_MISMATCH' && known !== undefined) sayWhatIsSpoken(known.socket, true)
      else socket.destroy()
    })
    return server
  }

  /** A connection that says nothing costs no more than its place. */
  #awaitFirstBytes(visitor: Visitor): void {
    const { socket, place } = visitor
    const onReadable = () => {
      if (socket.readableLength === 0) {
        // Its end; it is noticed by reading.
        socket.read()
        return
      }
      socket.off('readable', onReadable)
      this.#places.reached(place, 'quiet')
      this.#beginning.push(visitor)
      this.#requestTurn()
    }
    socket.on('readable', onReadable)
  }

  #requestTurn(): void {
    if (this.#isTurnDue) return
    this.#isTurnDue = true
    setImmediate(() => {
      this.#isTurnDue = false
      this.#takeTurn()
    })
  }

  #takeTurn(): void {
    for (const { socket } of this.#beginning.splice(0, BEGINNINGS_PER_TURN))
      if (!socket.destroyed) this.#tls?.emit('connection', socket)
    this.#passTime()
    this.#places.makeRoom()
    if (this.#beginning.length > 0 || this.#places.isCrowded) this.#requestTurn()
  }

  #startTicking(): void {
    if (this.#ticking !== undefined) return
    this.#tickedAtMs = performance.now()
    this.#ticking = setInterval(() => {
      this.#passTime()
      if (this.#places.size > 0) return
      clearInterval(this.#ticking)
      this.#ticking = undefined
    }, this.#tickMs)
  }

  /** Time in which this thread was busy is not time in which a peer was silent. */
  #passTime(): void {
    const nowMs = performance.now()
    const passedMs = nowMs - this.#tickedAtMs
    this.#tickedAtMs = nowMs
    this.#places.passTime(Math.min(passedMs, this.#tickMs * 1.5))
  }

  #evict(peer: string, socket: Socket, reason: EvictionReason): void {
    const { handshakeMs, unauthenticatedMax } = this.#options
    const error =
      reason === 'silent'
        ? createError('HANDSHAKE_TIMEOUT', `${peer} was silent for ${handshakeMs} ms and has not proven the password.`)
        : createError(
            'TOO_MANY_CONNECTIONS',
            `More than ${unauthenticatedMax} connections have not proven the password; this one was silent for longest. limits.unauthenticatedMax allows no more.`,
          )
    this.#refuse(error, peer)
    if (reason === 'silent') socket.destroy()
    else socket.resetAndDestroy()
  }

  #leave({ peer, place }: Visitor): void {
    this.#places.leave(place)
    if (this.#visitors.get(peer)?.place === place) this.#visitors.delete(peer)
  }

  #refuse(error: ObjectRelayError, peer: string): void {
    const visitor = this.#visitors.get(peer)
    if (visitor !== undefined) this.#leave(visitor)
    this.#handler.refused(error, peer)
  }

  #greetSecurely(socket: TLSSocket): void {
    const peer = peerOf(socket)
    socket.on('error', () => undefined)
    const foreign = explainApplicationProtocol(socket.alpnProtocol, contextOf(socket))
    if (foreign !== undefined) {
      this.#refuse(foreign, peer)
      socket.destroy()
      return
    }
    this.#introduce(new SocketTransport(socket, channelBindingOf(socket)), peer)
  }

  async #greetPlainly({ socket, peer, place }: Visitor): Promise<void> {
    try {
      await readPreface(socket, undefined, 'endpoint')
    } catch (thrown) {
      const refusal = toObjectRelayError(thrown, 'LINK_LOST')
      if (this.#visitors.get(peer)?.place === place) this.#refuse(refusal, peer)
      if (refusal.code === 'SECURITY_MISMATCH') sayWhatIsSpoken(socket, false)
      else socket.destroy()
      return
    }
    writePreface(socket)
    this.#introduce(new SocketTransport(socket, noChannelBinding()), peer)
  }

  #introduce(transport: Transport, peer: string): void {
    const visitor = this.#visitors.get(peer)
    if (visitor === undefined) {
      transport.destroy()
      return
    }
    this.#places.reached(visitor.place, 'quiet')
    this.#handler.connected({
      transport,
      reached: (stage) => this.#places.reached(visitor.place, stage),
      authenticated: () => this.#leave(visitor),
    })
  }
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`
}

function contextOf(socket: Socket): { host: string; port: number; side: 'relay' } {
  return { host: socket.remoteAddress ?? 'unknown', port: socket.remotePort ?? 0, side: 'relay' }
}

function untilListening(server: Server, { host, port }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const where = `${host ?? 'all interfaces'}, port ${port}`
      reject(
        error.code === 'EADDRINUSE'
          ? createError(
              'PORT_IN_USE',
              `Another program listens on ${where}. Stop it, choose another port, or take port 0 for any free one.`,
              { cause: error },
            )
          : createError('CANNOT_LISTEN', `The relay cannot listen on ${where}: ${error.message}.`, { cause: error }),
      )
    })
    server.listen({ port, host, backlog: 1024 }, () => {
      server.removeAllListeners('error')
      server.on('error', () => undefined)
      resolve()
    })
  })
}
