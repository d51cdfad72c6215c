import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { createError, type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { channelBindingOf, noChannelBinding } from '../security/channelProof.ts'
import { explainApplicationProtocol, explainTlsError } from '../security/tlsErrors.ts'
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

/** A peer whose channel stands, and which has still to prove the password. */
export interface Newcomer {
  readonly transport: Transport
  /** To be called when it has: only then it is no longer under the bounds of the unauthenticated. */
  authenticated(): void
}

export interface ListenHandler {
  connected(newcomer: Newcomer): void
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
  const door = new Door(options, handler)
  const server =
    options.tls === undefined
      ? createTcpServer()
      : createTlsServer({ ...options.tls, handshakeTimeout: options.handshakeMs })
  await untilListening(server, options)
  door.attend(server)
  const address = server.address()
  if (address === null || typeof address === 'string')
    throw createError('CANNOT_LISTEN', 'The relay listens on no port.')
  return {
    port: address.port,
    address: address.address,
    get unauthenticated() {
      return door.unauthenticated
    },
    useKeys: (tls) => {
      if ('setSecureContext' in server) server.setSecureContext(tls)
    },
    close: () => void server.close(),
  }
}

/** Bounds what those may cost who have not proven the password: their number, and the time that each has. */
class Door {
  readonly #options: ListenOptions
  readonly #handler: ListenHandler
  /** By remote address and port, since node:tls does not tell which TCP connection a TLS socket is on. */
  readonly #waiting = new Map<string, { socket: Socket; timer: NodeJS.Timeout; reason: string }>()

  constructor(options: ListenOptions, handler: ListenHandler) {
    this.#options = options
    this.#handler = handler
  }

  get unauthenticated(): number {
    return this.#waiting.size
  }

  attend(server: Server): void {
    server.prependListener('connection', (socket: Socket) => this.#admit(socket))
    if (this.#options.tls === undefined) {
      server.on('connection', (socket: Socket) => void this.#greetPlainly(socket))
      return
    }
    server.on('secureConnection', (socket: TLSSocket) => this.#greetSecurely(socket))
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      const peer = peerOf(socket)
      // Whoever ran out of time was reported as such already.
      const known = this.#waiting.get(peer)
      if (known === undefined && socket.remotePort !== undefined) {
        socket.destroy()
        return
      }
      const refusal = explainTlsError(error, contextOf(socket))
      this.#refuse(refusal, peer)
      if (refusal.code === 'SECURITY_MISMATCH' && known !== undefined) sayWhatIsSpoken(known.socket, true)
      else socket.destroy()
    })
  }

  #admit(socket: Socket): void {
    const peer = peerOf(socket)
    socket.on('error', () => undefined)
    if (this.#waiting.size >= this.#options.unauthenticatedMax) {
      socket.destroy()
      this.#handler.refused(
        createError(
          'TOO_MANY_CONNECTIONS',
          `${this.#waiting.size} connections have not proven the password yet; limits.unauthenticatedMax allows no more.`,
        ),
        peer,
      )
      return
    }
    const { handshakeMs } = this.#options
    const timer = setTimeout(() => {
      const error = createError('HANDSHAKE_TIMEOUT', `${peer} did not prove the password within ${handshakeMs} ms.`)
      this.#refuse(error, peer)
      socket.destroy()
    }, handshakeMs)
    this.#waiting.set(peer, { socket, timer, reason: '' })
    socket.on('close', () => this.#leave(peer, socket))
  }

  #leave(peer: string, socket: Socket): void {
    const entry = this.#waiting.get(peer)
    if (entry === undefined || entry.socket !== socket) return
    clearTimeout(entry.timer)
    this.#waiting.delete(peer)
  }

  #refuse(error: ObjectRelayError, peer: string): void {
    const entry = this.#waiting.get(peer)
    if (entry !== undefined) this.#leave(peer, entry.socket)
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

  async #greetPlainly(socket: Socket): Promise<void> {
    const peer = peerOf(socket)
    if (!this.#waiting.has(peer)) return
    try {
      await readPreface(socket, this.#options.handshakeMs, 'endpoint')
    } catch (thrown) {
      const refusal = toObjectRelayError(thrown, 'LINK_LOST')
      if (this.#waiting.has(peer)) this.#refuse(refusal, peer)
      if (refusal.code === 'SECURITY_MISMATCH') sayWhatIsSpoken(socket, false)
      else socket.destroy()
      return
    }
    writePreface(socket)
    this.#introduce(new SocketTransport(socket, noChannelBinding()), peer)
  }

  #introduce(transport: Transport, peer: string): void {
    const entry = this.#waiting.get(peer)
    if (entry === undefined) {
      transport.destroy()
      return
    }
    this.#handler.connected({ transport, authenticated: () => this.#leave(peer, entry.socket) })
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
