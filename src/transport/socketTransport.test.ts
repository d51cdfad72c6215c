import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { noChannelBinding } from '../security/channelProof.ts'
import { SocketTransport } from './socketTransport.ts'

/** Two ends of a connection. */
async function connected(): Promise<{ transport: SocketTransport; peer: Socket }> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // of a server that listens on a port
  const peer = connect(port, '127.0.0.1')
  const [[socket]] = await Promise.all([once(server, 'connection'), once(peer, 'connect')])
  server.close()
  peer.on('error', () => undefined)
  return { transport: new SocketTransport(socket, noChannelBinding()), peer }
}

it('reads what a peer had sent that is gone, though the next write fails', async () => {
  const { transport, peer } = await connected()
  const came: Buffer[] = []
  transport.onData = (bytes) => came.push(Buffer.from(bytes))
  const closed = new Promise<Error | undefined>((resolve) => {
    transport.onClose = resolve
  })
  peer.write('the last word')
  peer.resetAndDestroy()
  transport.write(Buffer.from('nobody reads this'))
  transport.write(Buffer.from('nor this'))
  expect(await closed).toMatchObject({ code: expect.stringMatching(/^(EPIPE|ECONNRESET)$/) })
  expect(Buffer.concat(came).toString()).toBe('the last word')
})

it('ends at once when it is told to', async () => {
  const { transport, peer } = await connected()
  const closed = new Promise((resolve) => {
    transport.onClose = resolve
  })
  peer.write('more')
  transport.destroy()
  expect(await closed).toBeUndefined()
  expect(transport.closed).toBe(true)
})
