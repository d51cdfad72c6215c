import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { host } from './network.ts'

/** The port of a server that listens on TCP. */
export function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server listens on no port.')
  return address.port
}

/** Lets a server listen on loopback, on any free port, which it returns. */
export async function listenOn(server: Server, port = 0): Promise<number> {
  server.listen(port, host)
  await once(server, 'listening')
  return portOf(server)
}

/** A port that nobody listens on now, for a relay that comes later. */
export async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listenOn(server)
  server.close()
  await once(server, 'close')
  return port
}
