import { once } from 'node:events'
import { createServer } from 'node:tls'
import { makeCertificate } from '../certificate.js'
import { FrameReader, frameOf } from './frames.js'

const highWaterMark = 1024 * 1024

/** @typedef {import('node:tls').TLSSocket} Socket */

/**
 * Starts the relay that does nothing but forward: the first frame of a connection says where it belongs, and each byte
 * after it goes to every member of its destination as it is. It waits for the slowest and remembers nothing.
 */
export async function startRelay() {
  const { key, certificate } = makeCertificate()
  /** @type {Map<string, Set<Socket>>} */
  const groups = new Map()
  const membersOf = (/** @type {string} */ group) => {
    const members = groups.get(group) ?? new Set()
    groups.set(group, members)
    return members
  }
  /** @type {Set<Socket>} */
  const sockets = new Set()
  const server = createServer(
    { key, cert: certificate, minVersion: 'TLSv1.3', highWaterMark, noDelay: true },
    (socket) => {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      greet(socket, ({ receives, sendsTo }) => {
        for (const group of receives) membersOf(group).add(socket)
        socket.on('close', () => {
          sockets.delete(socket)
          for (const group of receives) membersOf(group).delete(socket)
        })
        forward(socket, membersOf(sendsTo))
      })
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('the relay of raw2 has no port')
  return {
    address: { port: bound.port, certificate },
    async stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/**
 * @param {Socket} socket
 * @param {(greeting: { receives: string[], sendsTo: string }) => void} onGreeting
 */
function greet(socket, onGreeting) {
  const reader = new FrameReader((buffer, start, end) => {
    socket.removeAllListeners('data')
    onGreeting(JSON.parse(buffer.toString('utf8', start, end)))
    socket.write(frameOf(Buffer.alloc(0)))
  })
  // A peer waits for the welcome, so nothing of its objects is in the chunk of its greeting.
  socket.on('data', (chunk) => reader.read(chunk, chunk.length))
}

/**
 * @param {Socket} source
 * @param {Set<Socket>} members
 */
function forward(source, members) {
  /** Members whose buffers are full; the source pauses until the last of them has drained. */
  let full = 0
  const drained = () => {
    full -= 1
    if (full === 0) source.resume()
  }
  source.on('data', (chunk) => {
    for (const member of members) {
      if (member.write(chunk) || member.destroyed) continue
      full += 1
      member.once('drain', drained)
    }
    if (full > 0) source.pause()
  })
}
