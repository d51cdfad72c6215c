import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { temporaryFolder, useDataFolder } from '../support/folders.ts'
import { host, Network, password, relayEvent, take } from '../support/network.ts'
import { endPrograms, Program } from '../support/programs.ts'
import { eventually, within } from '../support/waiting.ts'

useDataFolder()
const network = new Network()
afterEach(async () => {
  await endPrograms()
  await network.end()
})

describe('a program that computes', () => {
  it('stays connected, keeps receiving, and has its objects when it looks', async () => {
    const relay = await network.relay({ limits: { heartbeatMs: 300 } })
    const lost: unknown[] = []
    relay.on('endpointLost', (value) => lost.push(value))
    const sender = await network.connect(relay)
    const enough = join(await temporaryFolder(), 'enough')
    const program = new Program(
      `import { existsSync } from 'node:fs'
       const { enough, ...connection } = settings
       const endpoint = await Endpoint.connect({ ...connection, groups: 'busy' })
       await endpoint.notify({ busy: 100 })
       say('computes')
       while (!existsSync(enough)) Math.sqrt(2)
       const large = endpoint.popSync()[0]
       const rest = endpoint.retrieveAllSync()
       say('done', { large: large.length, rest, linksLost: endpoint.stats().linksLost })
       await endpoint.stop()`,
      { host, port: relay.port, password, enough },
    )
    await program.heard('computes')
    // More than the ring between the threads of the program holds, and more than its parts that wait there.
    await sender.produce(new Uint8Array(20_000_000), 'busy')
    for (let index = 1; index < 100; index++) {
      await sender.produce(index, 'busy')
      await pause(20)
    }
    expect((await relay.stats()).endpoints).toMatchObject({ connected: 2, away: 0 })
    expect((await relay.stats()).groups.busy).toMatchObject({ waiting: 0, leased: 100, acknowledged: 0 })
    await writeFile(enough, '')
    const rest = Array.from({ length: 99 }, (_, index) => index + 1)
    expect(await program.heard('done')).toEqual({ large: 20_000_000, rest, linksLost: 0 })
    expect(await program.exited).toEqual({ code: 0, signal: null })
    expect(lost).toEqual([])
  })

  it('sends while it computes: what was called for goes out at once', async () => {
    const relay = await network.relay()
    const receiver = await network.connect(relay, { groups: 'results' })
    const program = new Program(
      `const endpoint = await Endpoint.connect(settings)
       void endpoint.broadcast('sent before the loop', 'results')
       const end = performance.now() + 2_000
       while (performance.now() < end) Math.sqrt(2)
       say('done')
       await endpoint.stop()`,
      { host, port: relay.port, password },
    )
    expect(await take(receiver, 1)).toEqual(['sent before the loop'])
    expect(program.alive).toBe(true)
    const before = performance.now()
    await program.heard('done')
    expect(performance.now() - before, 'the object came long before the loop ended').toBeGreaterThan(1_000)
  })
})

describe('popSync', () => {
  it('truly blocks the thread, without burning it, and wakes when an object arrives', async () => {
    const relay = await network.relay()
    const sender = await network.connect(relay)
    const program = new Program(
      `const endpoint = await Endpoint.connect({ ...settings, groups: 'g' })
       await endpoint.notify('g')
       let ticks = 0
       const timer = setInterval(() => ticks++, 10)
       say('blocks')
       const cpuBefore = process.cpuUsage()
       const before = performance.now()
       const objects = endpoint.popSync({ blocking: true })
       const blockedMs = performance.now() - before
       const { user, system } = process.cpuUsage(cpuBefore)
       say('woke', { objects, ticks, blockedMs, busyMs: (user + system) / 1000 })
       clearInterval(timer)
       await endpoint.stop()`,
      { host, port: relay.port, password },
    )
    await program.heard('blocks')
    await pause(700)
    const sentAtMs = performance.now()
    await sender.produce({ wake: 'up' }, 'g')
    const woke = await program.heard('woke')
    expect(performance.now() - sentAtMs).toBeLessThan(500)
    expect(woke).toMatchObject({ objects: [{ wake: 'up' }], ticks: 0 })
    expect(woke).toSatisfy(({ blockedMs }: { blockedMs: number }) => blockedMs >= 650)
    expect(woke).toSatisfy(({ busyMs }: { busyMs: number }) => busyMs < 300)
    expect(await program.exited).toEqual({ code: 0, signal: null })
  })

  it('makes round trips between two processes that never await anything', async () => {
    const relay = await network.relay()
    const settings = { host, port: relay.port, password }
    const answering = new Program(
      `const endpoint = await Endpoint.connect({ ...settings, groups: 'questions' })
       await endpoint.notify({ questions: 300 })
       say('ready')
       for (let count = 0; count < 300; count++) {
         const [question] = endpoint.popSync({ blocking: true })
         void endpoint.produce(question * 2, 'answers')
       }
       await endpoint.stop()`,
      settings,
    )
    await answering.heard('ready')
    const asking = new Program(
      `const endpoint = await Endpoint.connect({ ...settings, groups: 'answers' })
       await endpoint.notify({ answers: 300 })
       const answers = []
       for (let count = 0; count < 300; count++) {
         void endpoint.produce(count, 'questions')
         answers.push(...endpoint.popSync({ blocking: true, timeoutMs: 10_000 }))
       }
       say('answers', answers)
       await endpoint.stop()`,
      settings,
    )
    expect(await asking.heard('answers')).toEqual(Array.from({ length: 300 }, (_, index) => index * 2))
    expect(await Promise.all([asking.exited, answering.exited])).toEqual([
      { code: 0, signal: null },
      { code: 0, signal: null },
    ])
  })
})

describe('a process', () => {
  it.each(['thread', 'inline'])(
    "is kept alive while connected and idle, and exits after stop() with io: '%s'",
    async (io) => {
      const relay = await network.relay()
      const sender = await network.connect(relay)
      const program = new Program(
        `const endpoint = await Endpoint.connect({ ...settings, groups: 'g' })
       endpoint.pop({ blocking: true }).then(async () => {
         await endpoint.stop()
         say('stopped')
       })
       say('connected')`,
        { host, port: relay.port, password, io },
      )
      await program.heard('connected')
      await pause(1_000)
      expect(program.alive).toBe(true)
      await sender.broadcast('end', 'g')
      await program.heard('stopped')
      const stoppedAtMs = performance.now()
      expect(await program.exited).toEqual({ code: 0, signal: null })
      expect(performance.now() - stoppedAtMs).toBeLessThan(2_000)
      expect(program.errors).toBe('')
    },
  )

  it('is kept alive by a relay, and exits after its stop()', async () => {
    const program = new Program(
      `const relay = await Relay.start({ ...settings, port: 0 })
       relay.on('endpointLeft', async () => {
         await relay.stop()
         say('stopped')
       })
       say('listens', relay.port)`,
      { host, password },
    )
    const port = Number(await program.heard('listens'))
    await pause(700)
    expect(program.alive).toBe(true)
    const endpoint = await network.connect({ port })
    await endpoint.stop()
    await program.heard('stopped')
    const stoppedAtMs = performance.now()
    expect(await program.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - stoppedAtMs).toBeLessThan(2_000)
  })

  it('is not kept alive by an endpoint that was refused', async () => {
    const relay = await network.relay()
    const program = new Program(
      `const endpoint = new Endpoint({ ...settings, password: 'another-9Xk2-word' })
       endpoint.on('disconnected', ({ error }) => say('refused', error.code))`,
      { host, port: relay.port },
    )
    expect(await program.heard('refused')).toBe('WRONG_PASSWORD')
    const refusedAtMs = performance.now()
    expect(await program.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - refusedAtMs).toBeLessThan(2_000)
  })

  it('that is killed loses its object to another member after sessionGraceMs, which has been seen, with attempt 2, in the old order', async () => {
    const relay = await network.relay({ limits: { sessionGraceMs: 400 } })
    const sender = await network.connect(relay)
    const program = new Program(
      `const endpoint = await Endpoint.connect({ ...settings, groups: 'g' })
       await endpoint.notify({ g: 2 })
       const deliveries = endpoint.deliveries()
       await deliveries.next()
       say('works')`,
      { host, port: relay.port, password },
    )
    for (const number of [1, 2, 3]) await sender.produce(number, 'g')
    await program.heard('works')
    await eventually(
      async () => (await relay.stats()).groups.g?.leased,
      (leased) => leased === 2,
    )
    const other = await network.connect(relay, { groups: 'g' })
    const left = relayEvent(relay, 'endpointLeft', ({ reason }) => reason === 'grace')
    const killedAtMs = performance.now()
    program.kill('SIGKILL')
    await program.exited
    await left
    expect(performance.now() - killedAtMs).toBeGreaterThan(350)
    await other.notify({ g: 3 })
    const received: [unknown, number][] = []
    for await (const { object, attempt } of other.deliveries()) {
      received.push([object, attempt])
      if (received.length === 3) break
    }
    // The second one lay in its inbox.
    expect(received).toEqual([
      [1, 2],
      [2, 1],
      [3, 1],
    ])
  })

  it('that is frozen is noticed by its silence, delays nobody, and comes back to its session', async () => {
    const relay = await network.relay({ limits: { heartbeatMs: 100, sessionGraceMs: 20_000 } })
    const sender = await network.connect(relay)
    const healthy = await network.connect(relay, { groups: 'g' })
    const program = new Program(
      `const endpoint = await Endpoint.connect({ ...settings, groups: 'g' })
       say('connected')
       for await (const object of endpoint) {
         say('received', object)
         if (object === 'last') break
       }
       await endpoint.stop()`,
      { host, port: relay.port, password },
    )
    await program.heard('connected')
    const lost = relayEvent(relay, 'endpointLost')
    program.kill('SIGSTOP')
    expect((await lost).error.code).toBe('PEER_SILENT')
    for (let index = 0; index < 20; index++) {
      await sender.broadcast(index, 'g')
      expect(await take(healthy, 1, 1_000)).toEqual([index])
    }
    const back = relayEvent(relay, 'endpointConnected')
    program.kill('SIGCONT')
    expect((await back).resumed).toBe(true)
    await sender.broadcast('last', 'g')
    for (let index = 0; index < 20; index++) expect(await program.heard('received')).toBe(index)
    expect(await program.heard('received')).toBe('last')
    expect(await program.exited).toEqual({ code: 0, signal: null })
  })
})

describe('a relay that is restarted on the same port', () => {
  const reconnect = { initialDelayMs: 20, maxDelayMs: 50 }

  it('is rejoined: what was asked is asked again, what was not accepted is sent again, in order', async () => {
    const first = await network.relay({ acceptedGroups: { g: { maxConsumables: 1 } } })
    const { port } = first
    const sender = await network.connect(first, { reconnect })
    const receiver = await network.connect(first, { groups: 'g', reconnect })
    await receiver.notify({ g: 1 })
    await sender.produce('leased', 'g')
    await eventually(
      () => receiver.stats().inbox.objects,
      (objects) => objects === 1,
    )
    await sender.produce('accepted, and lost with the memory of the relay', 'g')
    const unaccepted = [1, 2, 3].map((number) => sender.produce(number, 'g'))
    const sessionLost = new Promise<number>((resolve) => {
      receiver.on('sessionLost', ({ unacknowledged, error }) => {
        expect(error.code).toBe('SESSION_LOST')
        resolve(unacknowledged)
      })
    })
    const { undelivered } = await first.stop({ deadlineMs: 0 })
    expect(undelivered).toEqual({ g: { waiting: 1, leased: 1 } })
    await receiver.notify({ g: 4 })
    const whileAway = sender.produce(4, 'g')
    const second = await network.relay({ port })
    expect(await within(sessionLost, 'the event sessionLost')).toBe(1)
    expect(await take(receiver, 5)).toEqual(['leased', 1, 2, 3, 4])
    await within(Promise.all([...unaccepted, whileAway]), 'the acceptance of the rest')
    expect((await second.stats()).groups.g).toMatchObject({ members: 1, waiting: 0 })
    expect(receiver.stats().linksLost).toBe(1)
  })
})
