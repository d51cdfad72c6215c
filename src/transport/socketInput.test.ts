import { once } from 'node:events'
import { connect, createServer, type Server, Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { makeCertificate, makePrivateKey } from '../security/certificate.ts'
import { SocketInput } from './socketInput.ts'

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  ends.push(() => server.close())
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server has no port.')
  return address.port
}

/** The end of a connection that a server accepted, and the other one. */
async function joined(
  server: Server,
  event: string,
  connected: Socket,
): Promise<[accepted: Socket, connected: Socket]> {
  const [accepted]: unknown[] = await once(server, event)
  if (!(accepted instanceof Socket)) throw new Error('What was accepted is no socket.')
  ends.push(
    () => accepted.destroy(),
    () => connected.destroy(),
  )
  return [accepted, connected]
}

async function joinPlainly(): Promise<[accepted: Socket, connected: Socket]> {
  const server = createServer()
  const port = await portOf(server)
  return joined(server, 'connection', connect(port, '127.0.0.1'))
}

async function joinSecurely(): Promise<[accepted: Socket, connected: Socket]> {
  const key = makePrivateKey()
  const cert = makeCertificate({ key, hostnames: ['localhost'], nowMs: Date.now() })
  const server = createTlsServer({ key, cert })
  const port = await portOf(server)
  const connected = connectTls({ host: '127.0.0.1', port, ca: cert, servername: 'localhost' })
  return joined(server, 'secureConnection', connected)
}

/** Sends texts one after another; returns what was read, and the memory that each was read into. */
async function readOf(input: SocketInput, sender: Socket, texts: readonly string[]) {
  const read: string[] = []
  const memories = new Set<ArrayBufferLike>()
  for (const text of texts) {
    const received = new Promise<void>((resolve) => {
      input.receiver = (bytes) => {
        read.push(bytes.toString())
        memories.add(bytes.buffer)
        resolve()
      }
    })
    sender.write(text)
    await received
  }
  return { read, memories }
}

describe('The input of a socket that a server accepted', () => {
  const texts = ['one', 'two', 'three']

  it.each([
    ['with TLS', joinSecurely],
    ['without', joinPlainly],
  ])('reads into the same memory again and again, %s', async (_how, join) => {
    const [accepted, connected] = await join()
    const { read, memories } = await readOf(SocketInput.of(accepted), connected, texts)
    expect(read).toEqual(texts)
    expect(memories.size).toBe(1)
  })

  it('is the same memory for all sockets', async () => {
    const memories = new Set<ArrayBufferLike>()
    for (const join of [joinPlainly, joinSecurely]) {
      const [accepted, connected] = await join()
      for (const memory of (await readOf(SocketInput.of(accepted), connected, texts)).memories) memories.add(memory)
    }
    expect(memories.size).toBe(1)
  })

  it('begins with what the socket had read before', async () => {
    const [accepted, connected] = await joinPlainly()
    accepted.unshift('zero')
    const { read } = await readOf(SocketInput.of(accepted), connected, texts)
    expect(read.join('')).toBe('zeroonetwothree')
  })

  it('only allocates more where Node.js does not take memory', async () => {
    const [accepted, connected] = await joinPlainly()
    const handle: unknown = Reflect.get(accepted, '_handle')
    if (typeof handle !== 'object' || handle === null) throw new Error('The socket has no handle.')
    Reflect.set(handle, 'useUserBuffer', undefined)
    const { read, memories } = await readOf(SocketInput.of(accepted), connected, texts)
    expect(read).toEqual(texts)
    expect(memories.size).toBeGreaterThan(1)
  })

  it('tells the socket of its end', async () => {
    const [accepted, connected] = await joinPlainly()
    SocketInput.of(accepted)
    connected.end()
    await once(accepted, 'close')
    expect(accepted.destroyed).toBe(true)
  })
})
