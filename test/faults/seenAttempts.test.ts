import type { Endpoint, Relay } from 'objectrelay'
import { afterEach, describe, expect, it } from 'vitest'
import { useDataFolder } from '../support/folders.ts'
import { host, Network, password, relayEvent, take } from '../support/network.ts'
import { endPrograms, Program } from '../support/programs.ts'

useDataFolder()

const network = new Network()
afterEach(async () => {
  await endPrograms()
  await network.end()
})

/** Takes objects in one way, and comes to its end in another at the one that is poison. */
const consumer = `
const { connection, io, way, end, poison } = settings
const endpoint = await Endpoint.connect({ ...connection, groups: 'tasks', io })
const ends = {
  exit: () => process.exit(3),
  uncaught: () => { throw new Error('poisoned') },
  // A thread of its own has what the program was handed; it is given the processor for as long as a task may take.
  kill: () => {
    if (io === 'thread') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
    process.kill(process.pid, 'SIGKILL')
  },
}
const task = (object) => {
  if (object === poison) ends[end]()
}
if (way === 'work') {
  endpoint.work('tasks', (object) => {
    // What a handler throws is no end of the program; what it leaves behind may be one.
    if (end === 'uncaught' && object === poison) queueMicrotask(ends.uncaught)
    else task(object)
    return new Promise((resolve) => setImmediate(resolve))
  }, { concurrency: 3 })
} else {
  await endpoint.notify({ tasks: 10_000 })
  if (way === 'loop') for await (const object of endpoint) task(object)
  if (way === 'deliveries') {
    for await (const { object, ack } of endpoint.deliveries()) {
      task(object)
      ack()
    }
  }
}
`

const exits: Readonly<Record<string, object>> = {
  exit: { code: 3, signal: null },
  uncaught: { code: 1, signal: null },
  kill: { code: null, signal: 'SIGKILL' },
}

async function crash(relay: Relay, settings: { io: string; way: string; end: string; poison: number }): Promise<void> {
  const left = relayEvent(relay, 'endpointLeft')
  const program = new Program(consumer, { connection: { host, port: relay.port, password }, ...settings })
  const exit = await program.exited
  expect(exit, program.errors).toEqual(exits[settings.end])
  expect(await left).toMatchObject({ reason: 'grace' })
}

/** The attempt of each object that is delivered now. */
async function attempts(inspector: Endpoint, count: number): Promise<Map<unknown, number>> {
  const found = new Map<unknown, number>()
  await inspector.notify({ tasks: count })
  for await (const { object, attempt } of inspector.deliveries()) {
    found.set(object, attempt)
    if (found.size === count) break
  }
  return found
}

describe.each(['thread', 'inline'] as const)("a program with io: '%s' that ends by what it was handed", (io) => {
  it.each(
    ['work', 'deliveries', 'loop'].flatMap((way) => ['exit', 'uncaught', 'kill'].map((end) => [way, end] as const)),
  )('has its attempt counted, and no other one: %s, %s', async (way, end) => {
    const relay = await network.relay({ limits: { sessionGraceMs: 100 } })
    const sender = await network.connect(relay)
    await Promise.all(Array.from({ length: 200 }, (_, index) => sender.produce(index, 'tasks')))
    await crash(relay, { io, way, end, poison: 20 })
    const inspector = await network.connect(relay, { groups: 'tasks' })
    const { waiting = 0 } = (await relay.stats()).groups.tasks ?? {}
    // With work(), two other handlers may have been at it.
    expect(waiting).toBeGreaterThanOrEqual(180)
    expect(waiting).toBeLessThanOrEqual(182)
    const found = await attempts(inspector, waiting)
    expect(found.get(20)).toBe(2)
    const counted = [...found].filter(([, attempt]) => attempt > 1).map(([object]) => object)
    expect(counted.length).toBeLessThanOrEqual(way === 'work' ? 3 : 1)
    expect(Math.max(...counted.map(Number))).toBeLessThanOrEqual(22)
  })

  it('costs one object its attempts, of the 10 000 that it had asked for', async () => {
    const relay = await network.relay({ limits: { sessionGraceMs: 100, attemptsMax: 2 } })
    const sender = await network.connect(relay)
    await Promise.all(Array.from({ length: 10_000 }, (_, index) => sender.produce(index, 'tasks')))
    for (let time = 0; time < 2; time++) await crash(relay, { io, way: 'deliveries', end: 'exit', poison: 7 })
    const { groups } = await relay.stats()
    expect(groups['tasks.dead']).toMatchObject({ waiting: 1 })
    const good = await network.connect(relay, { groups: ['tasks', 'tasks.dead'] })
    await good.notify({ tasks: 9_992, 'tasks.dead': 1 })
    const found = await take(good, 9_993)
    expect(new Set(found)).toEqual(new Set(Array.from({ length: 9_993 }, (_, index) => index + 7)))
  })
})
