import { createServer as createHttpServer } from 'node:http'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { Relay, type RelayOptions } from 'objectrelay'
import { makeCertificate, makePrivateKey } from '../../src/security/certificate.ts'
import { applicationProtocol } from '../../src/security/tlsOptions.ts'
import { host, password } from './network.ts'
import { listenOn } from './ports.ts'

/** Something that is not the relay, at its address. */
export interface Impostor {
  close(): Promise<unknown>
}

function ownKeys(): Pick<TlsOptions, 'key' | 'cert'> {
  const key = makePrivateKey()
  return { key, cert: makeCertificate({ key, hostnames: ['localhost', host], nowMs: Date.now() }) }
}

async function serve(server: Server, port: number): Promise<Impostor> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', () => undefined)
  await listenOn(server, port)
  return {
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

const echo = (socket: Socket) => void socket.on('error', () => undefined).pipe(socket)

async function otherRelay(options: Partial<RelayOptions>): Promise<Impostor> {
  const relay = await Relay.start({ port: 0, host, password, ...options })
  return { close: () => relay.stop({ deadlineMs: 0 }) }
}

/** By name: what may answer at the address of a relay, on the port that is given. */
export const impostors: Readonly<Record<string, (port: number) => Promise<Impostor>>> = {
  'a web server': (port) =>
    serve(
      createHttpServer((_, response) => response.end('hello')),
      port,
    ),
  'a program that speaks TLS and not our protocol': (port) => serve(createTlsServer(ownKeys()), port),
  'a program that speaks TLS 1.2': (port) =>
    serve(createTlsServer({ ...ownKeys(), maxVersion: 'TLSv1.2', ALPNProtocols: [applicationProtocol] }), port),
  'a program that says everything back': (port) => serve(createTcpServer(echo), port),
  'a program that says everything back over TLS': (port) =>
    serve(createTlsServer({ ...ownKeys(), ALPNProtocols: [applicationProtocol] }, echo), port),
  'a program that hangs up': (port) =>
    serve(
      createTcpServer((socket) => socket.destroy()),
      port,
    ),
  'a relay with another password': (port) => otherRelay({ port, password: 'Qn4-another-ferret-58-plum' }),
  "a relay without TLS, with security: 'none'": (port) => otherRelay({ port, security: 'none' }),
}
