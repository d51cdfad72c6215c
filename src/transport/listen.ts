import { createServer as createTcpServer, type Server, Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type TlsOptions, type Server as TlsServer } from 'node:tls'
import { createError, type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { hostAndPort, plainAddress } from '../hostAndPort.ts'
import { channelBindingOf, noChannelBinding } from '../security/channelProof.ts'
import { explainApplicationProtocol, explainTlsError, type LinkContext } from '../security/tlsErrors.ts'
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

/**
 * With so many at the door or fewer, TLS begins before the peer has said anything. What a TLS socket reads into is as large as what it
 * is given first, for as long as the connection lives: one that begins with a ClientHello reads large objects in twice as many pieces.
 */
const BEGUN_AT_ONCE = 16

/** A connection that has a place at the door. */
interface Visitor {
  readonly socket: Socket
  readonly peer: string
  /** Where it comes from, as long as the socket knows it and longer. */
  readonly context: LinkContext
  readonly place: PendingPlace
  /** Whether it was turned away; why is reported once. */
  isRefused: boolean
}

/** Bounds what those may cost who have not proven the password: their number, and the time that each has. */
class Door {
  readonly #options: ListenOptions
  readonly #handler: ListenHandler
  readonly #places: PendingConnections
  readonly #tls: TlsServer | undefined
  readonly #visitors = new WeakMap<Socket, Visitor>()
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
    const host = plainAddress(socket.remoteAddress)
    const context = { host, port: socket.remotePort ?? 0, side: 'relay' } as const
    const peer = hostAndPort(host, context.port)
    this.#startTicking()
    const place = this.#places.enter(host, (reason) => this.#evict(visitor, reason))
    const visitor: Visitor = { socket, peer, context, place, isRefused: false }
    this.#visitors.set(socket, visitor)
    socket.on('close', () => this.#places.leave(place))
    if (this.#places.isCrowded) this.#requestTurn()
    if (this.#tls === undefined) void this.#greetPlainly(visitor)
    else if (this.#places.size <= BEGUN_AT_ONCE) this.#tls.emit('connection', socket)
    else this.#awaitFirstBytes(visitor)
  }

  /** This server never listens: connections are given to it when they have something to say. */
  #tlsServer(options: TlsOptions): TlsServer {
    // How long a peer may be silent is bounded by its place, and a busy relay must not take that for silence.
    const server = createTlsServer({ ...options, handshakeTimeout: 0x7fff_ffff })
    server.on('secureConnection', (socket: TLSSocket) => this.#greetSecurely(socket))
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      const visitor = this.#visitorOn(socket)
      // Whoever ran out of time was reported as such already.
      if (visitor === undefined || visitor.isRefused) {
        socket.destroy()
        return
      }
      const refusal = explainTlsError(error, visitor.context)
      this.#refuse(visitor, refusal)
      if (refusal.code === 'SECURITY_MISMATCH') sayWhatIsSpoken(visitor.socket, true)
      else socket.destroy()
    })
    return server
  }

  /** Whose TCP connection a TLS socket is on; node:tls has that in a property of its own. */
  #visitorOn(socket: TLSSocket): Visitor | undefined {
    const parent: unknown = '_parent' in socket ? socket._parent : undefined
    return parent instanceof Socket ? this.#visitors.get(parent) : undefined
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

  #evict(visitor: Visitor, reason: EvictionReason): void {
    const { handshakeMs, unauthenticatedMax } = this.#options
    const { socket, peer } = visitor
    const error =
      reason === 'silent'
        ? createError('HANDSHAKE_TIMEOUT', `${peer} was silent for ${handshakeMs} ms and has not proven the password.`)
        : createError(
            'TOO_MANY_CONNECTIONS',
            `More than ${unauthenticatedMax} connections have not proven the password; this one was silent for longest. limits.unauthenticatedMax allows no more.`,
          )
    this.#refuse(visitor, error)
    if (reason === 'silent') socket.destroy()
    else socket.resetAndDestroy()
  }

  #refuse(visitor: Visitor, error: ObjectRelayError): void {
    this.#places.leave(visitor.place)
    if (visitor.isRefused) return
    visitor.isRefused = true
    this.#handler.refused(error, visitor.peer)
  }

  #greetSecurely(socket: TLSSocket): void {
    socket.on('error', () => undefined)
    const visitor = this.#visitorOn(socket)
    if (visitor === undefined || visitor.isRefused) {
      socket.destroy()
      return
    }
    const foreign = explainApplicationProtocol(socket.alpnProtocol, visitor.context)
    if (foreign !== undefined) {
      this.#refuse(visitor, foreign)
      socket.destroy()
      return
    }
    this.#introduce(visitor, new SocketTransport(socket, channelBindingOf(socket), { from: visitor.context }))
  }

  async #greetPlainly(visitor: Visitor): Promise<void> {
    const { socket } = visitor
    try {
      await readPreface(socket, undefined, 'endpoint')
    } catch (thrown) {
      const refusal = toObjectRelayError(thrown, 'LINK_LOST')
      this.#refuse(visitor, refusal)
      if (refusal.code === 'SECURITY_MISMATCH') sayWhatIsSpoken(socket, false)
      else socket.destroy()
      return
    }
    writePreface(socket)
    this.#introduce(visitor, new SocketTransport(socket, noChannelBinding(), { from: visitor.context }))
  }

  #introduce(visitor: Visitor, transport: Transport): void {
    if (visitor.isRefused) {
      transport.destroy()
      return
    }
    const { place } = visitor
    this.#places.reached(place, 'quiet')
    this.#handler.connected({
      transport,
      reached: (stage) => this.#places.reached(place, stage),
      authenticated: () => this.#places.leave(place),
    })
  }
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
