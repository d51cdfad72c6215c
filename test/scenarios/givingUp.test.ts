import { createServer, connect as dial, type Server, type Socket } from 'node:net'
import type { Relay, RelayEvents } from 'objectrelay'
import { afterEach, describe, expect, it } from 'vitest'
import { useDataFolder } from '../support/folders.ts'
import { endpointEvent, host, Network, password, relayEvent } from '../support/network.ts'
import { listenOn } from '../support/ports.ts'
import { endPrograms, Program } from '../support/programs.ts'
import { eventually, within } from '../support/waiting.ts'

useDataFolder()
const network = new Network()
const servers: Server[] = []
const sockets = new Set<Socket>()
afterEach(async () => {
  for (const server of servers.splice(0)) server.close()
  for (const socket of sockets) socket.destroy()
  await endPrograms()
  await network.end()
})

function remember(socket: Socket): void {
  sockets.add(socket)
  socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
}

/** Takes connections and never says a word. */
async function silentServer(): Promise<{ readonly port: number; readonly open: () => number }> {
  const server = createServer((socket) => {
    remember(socket)
    socket.resume()
  })
  servers.push(server)
  const port = await listenOn(server)
  return { port, open: () => sockets.size }
}

/**
 * Passes on what an endpoint and its relay without TLS say, until the endpoint has said HELLO: from then on nothing of the relay's
 * gets through, as of one that is so busy that its WELCOME comes late.
 */
async function proxyBeforeWelcome({
  port: target,
}: Relay): Promise<{ readonly port: number; readonly held: () => number }> {
  let held = 0
  const server = createServer((near) => {
    const far = dial({ host, port: target })
    remember(near)
    remember(far)
    near.on('data', (bytes: Buffer) => {
      if (bytes.includes('"session":')) {
        held++
        far.pause()
      }
      far.write(bytes)
    })
    near.on('end', () => far.end())
    far.on('data', (bytes: Buffer) => near.write(bytes))
    far.on('close', () => near.destroy())
  })
  servers.push(server)
  return { port: await listenOn(server), held: () => held }
}

describe.each(['thread', 'inline'] as const)("an endpoint with io: '%s' that gives up during an attempt", (io) => {
  it.each(['TLS', 'none'] as const)(
    'leaves nothing behind: the connection is gone at once, and the process ends (security: %s)',
    async (security) => {
      const server = await silentServer()
      const program = new Program(
        `const endpoint = new Endpoint(settings)
         process.stdin.once('data', async () => {
           await endpoint.stop({ deadlineMs: 0 })
           say('stopped')
           process.stdin.once('data', () => process.stdin.destroy())
         })`,
        { host, port: server.port, password, io, security },
      )
      await eventually(server.open, (count) => count === 1)
      program.say('stop')
      await program.heard('stopped')
      await eventually(server.open, (count) => count === 0, 1_500)
      expect(program.alive).toBe(true)
      program.say('end')
      const before = performance.now()
      expect(await within(program.exited, 'the end of the process')).toEqual({ code: 0, signal: null })
      expect(performance.now() - before).toBeLessThan(1_500)
    },
  )

  it('at connectTimeoutMs lets the process end too', async () => {
    const server = await silentServer()
    const program = new Program(
      `try {
         await Endpoint.connect(settings)
       } catch ({ code }) {
         say('failed', code)
       }`,
      { host, port: server.port, password, io, connectTimeoutMs: 500 },
    )
    expect(await program.heard('failed')).toBe('CONNECT_TIMEOUT')
    const before = performance.now()
    expect(await within(program.exited, 'the end of the process')).toEqual({ code: 0, signal: null })
    expect(performance.now() - before).toBeLessThan(1_500)
  })

  it('holds no place of a full group when its WELCOME comes too late', async () => {
    const own = new Network(io)
    try {
      const relay = await own.relay({ security: 'none', acceptedGroups: { one: { maxCount: 1 } } })
      const left = relayEvent(relay, 'endpointLeft')
      const proxy = await proxyBeforeWelcome(relay)
      const options = { groups: 'one', security: 'none' } as const
      const ghost = own.begin(proxy, { ...options, name: 'ghost' })
      await eventually(proxy.held, (count) => count === 1)
      await ghost.stop({ deadlineMs: 0 })
      expect(await left).toMatchObject({ name: 'ghost', reason: 'stopped' })
      expect((await relay.stats()).endpoints).toMatchObject({ connected: 0, away: 0 })
      await own.connect(relay, { ...options, connectTimeoutMs: 2_000 })
    } finally {
      await own.end()
    }
  })

  it('gives its session up as well when it was about to come back to it', async () => {
    const own = new Network(io)
    try {
      const relay = await own.relay({ security: 'none' })
      const events: RelayEvents['endpointLeft'][] = []
      relay.on('endpointLeft', (event) => events.push(event))
      const direct = createServer((near) => {
        const far = dial({ host, port: relay.port })
        remember(near)
        remember(far)
        near.pipe(far).pipe(near)
      })
      servers.push(direct)
      const port = await listenOn(direct)
      const endpoint = await own.connect(
        { port },
        { groups: 'g', security: 'none', reconnect: { initialDelayMs: 20, maxDelayMs: 50 } },
      )
      await endpoint.produce('work', 'g')
      await endpoint.notify('g')
      await eventually(
        () => endpoint.stats().inbox.objects,
        (objects) => objects === 1,
      )
      const lost = endpointEvent(endpoint, 'reconnecting')
      direct.close()
      for (const socket of sockets) socket.destroy()
      await lost
      // What it says gets through from now on, and what it is told does not.
      const slow = await proxyBeforeWelcome(relay)
      const server = createServer((near) => {
        const far = dial({ host, port: slow.port })
        remember(near)
        remember(far)
        near.pipe(far).pipe(near)
      })
      servers.push(server)
      await listenOn(server, port)
      await eventually(slow.held, (count) => count > 0)
      void endpoint.produce('more', 'g').catch(() => undefined)
      await endpoint.stop({ deadlineMs: 50 })
      await eventually(
        async () => (await relay.stats()).sessions.length,
        (count) => count === 0,
      )
      expect(events).toMatchObject([{ endpoint: endpoint.id, reason: 'stopped' }])
      expect((await relay.stats()).groups.g).toMatchObject({ leased: 0 })
    } finally {
      await own.end()
    }
  })
})
