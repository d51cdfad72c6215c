import { connect as connectTcp, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { applicationProtocol } from '../../src/security/tlsOptions.ts'
import { host } from './network.ts'
import { listenOn } from './ports.ts'

/** Passes bytes on between an endpoint and its relay, and can cut all links. */
export interface LinkProxy {
  readonly port: number
  /** How many connections were made through it. */
  readonly connections: number
  /** Destroys all connections; new ones may be made. */
  cut(): void
  close(): void
}

/** A proxy of TCP that does not look at what it passes on. */
export async function tcpProxy(targetPort: number): Promise<LinkProxy> {
  return await proxyOf(createTcpServer(), 'connection', () => connectTcp({ host, port: targetPort }))
}

/** What a man in the middle heard: all plaintext, by direction, one entry for each connection. */
export interface Overheard {
  readonly fromEndpoint: Buffer[]
  readonly fromRelay: Buffer[]
}

/**
 * A man in the middle: speaks TLS with a certificate of his own to the endpoint and as the right client to the relay, and
 * passes all plaintext on, which he writes down.
 */
export async function manInTheMiddle(
  targetPort: number,
  { key, certificate }: { key: string; certificate: string },
): Promise<LinkProxy & { readonly overheard: Overheard[] }> {
  const overheard: Overheard[] = []
  const server = createTlsServer({ key, cert: certificate, ALPNProtocols: [applicationProtocol] })
  const proxy = await proxyOf(
    server,
    'secureConnection',
    () =>
      connectTls({
        host,
        port: targetPort,
        ALPNProtocols: [applicationProtocol],
        rejectUnauthorized: false,
        minVersion: 'TLSv1.3',
      }),
    overheard,
  )
  return Object.assign(proxy, { overheard })
}

async function proxyOf(
  server: Server,
  event: 'connection' | 'secureConnection',
  dial: () => Socket,
  overheard?: Overheard[],
): Promise<LinkProxy> {
  const sockets = new Set<Socket>()
  const state = { connections: 0 }
  server.on(event, (near: Socket) => {
    state.connections++
    const far = dial()
    const heard: Overheard = { fromEndpoint: [], fromRelay: [] }
    overheard?.push(heard)
    join(near, far, heard.fromEndpoint, overheard !== undefined)
    join(far, near, heard.fromRelay, overheard !== undefined)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    }
  })
  const port = await listenOn(server)
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port,
    get connections() {
      return state.connections
    },
    cut,
    close() {
      server.close()
      cut()
    },
  }
}

function join(from: Socket, to: Socket, heard: Buffer[], listens: boolean): void {
  if (listens) from.on('data', (bytes: Buffer) => heard.push(bytes))
  from.on('error', () => undefined)
  from.on('close', () => to.destroy())
  from.pipe(to)
}
