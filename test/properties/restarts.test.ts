import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../src/clock.fixture.ts'
import { type OpenedProgram, openProgram } from '../../src/endpoint/openedProgram.fixture.ts'
import type { Delivery } from '../../src/endpoint/program/endpointTypes.ts'
import { relayLimitDefaults } from '../../src/limits.ts'
import { RelayServer } from '../../src/relay/relayServer.ts'
import { createMemoryLink, type MemoryLink } from '../../src/transport/memoryTransport.ts'
import { KeptMemory } from '../support/keptMemory.ts'
import { settle, sharedAuthenticator } from '../support/relayWorld.ts'

/** A program that takes objects in all ways that there are. */
interface Consumer extends OpenedProgram {
  readonly iterator: AsyncGenerator<Delivery, void, undefined>
  readonly held: Delivery[]
  links: MemoryLink[]
}

/** A producer, two consumers, and a relay that is killed now and then and remembers everything. */
class RestartWorld {
  readonly clock: FakeClock = new FakeClock()
  readonly memory: KeptMemory = new KeptMemory()
  readonly errors: unknown[] = []
  readonly producer: OpenedProgram
  readonly consumers: readonly Consumer[]
  /** How often a program was done with each object. */
  readonly done: number[] = []
  produced = 0
  accepted = 0
  readonly #authenticator: Awaited<ReturnType<typeof sharedAuthenticator>>
  #server: RelayServer
  #links: MemoryLink[] = []

  private constructor(authenticator: Awaited<ReturnType<typeof sharedAuthenticator>>) {
    this.#authenticator = authenticator
    this.#server = this.#start()
    this.producer = this.#program([])
    this.consumers = [0, 1].map(() => {
      const links: MemoryLink[] = []
      const program = this.#program(links)
      return { ...program, links, held: [], iterator: program.endpoint.deliveries() as Consumer['iterator'] }
    })
  }

  static async open(): Promise<RestartWorld> {
    const world = new RestartWorld(await sharedAuthenticator())
    await world.settle()
    return world
  }

  settle(): Promise<void> {
    return settle(this.clock)
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms)
    await this.settle()
  }

  produce(count: number, copies: number): void {
    for (let index = 0; index < count; index++) {
      const id = this.produced++
      this.done[id] = 1 - copies
      void this.producer.endpoint.sendObject(id, { g: copies }).then(() => this.accepted++)
    }
  }

  /** Lets a few things happen, so that what comes next comes in the middle of others. */
  step(count: number): void {
    for (let left = count; left > 0; left--) this.clock.step()
  }

  restart(): void {
    this.#server = this.#start()
    for (const link of this.#links.splice(0)) link.cut()
  }

  /** The relay is stopped, without any time for it, and started again. */
  stop(): void {
    void this.#server.stop(0)
    this.restart()
  }

  finish(object: unknown): void {
    if (typeof object === 'number') this.done[object] = (this.done[object] ?? 0) + 1
  }

  #program(links: MemoryLink[]): OpenedProgram {
    const connect = async () => {
      const link = createMemoryLink({ schedule: (run) => this.clock.soon(run) })
      links.splice(0, links.length, link)
      this.#links.push(link)
      this.#server.admit({ transport: link.far, reached: () => undefined, authenticated: () => undefined })
      return link.near
    }
    const program = openProgram(this.clock, connect, { groups: ['g'] })
    program.endpoint.on('error', (error) => this.errors.push(error))
    return program
  }

  #start(): RelayServer {
    const options = { acceptedGroups: null, limits: { ...relayLimitDefaults } }
    return new RelayServer(options, {
      clock: this.clock,
      authenticator: this.#authenticator,
      store: this.memory.open(),
      emit: () => undefined,
    })
  }
}

const consumer = fc.integer({ min: 0, max: 1 })
const count = fc.integer({ min: 1, max: 5 })
const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('produce' as const), count, copies: fc.integer({ min: 1, max: 2 }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('notify' as const), consumer, count }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pop' as const), consumer, count }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('take' as const), consumer }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('ack' as const), consumer, count }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), consumer, count }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('busy' as const), consumer }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cut' as const), consumer }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('settle' as const) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('step' as const), count }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 400 }) }) },
)
type Action = typeof action extends fc.Arbitrary<infer One> ? One : never

/** Found once: of two equal copies, one was taken, and the other one was forgotten with it. */
const equalCopies: Action[] = [
  { do: 'produce', count: 1, copies: 2 },
  { do: 'notify', consumer: 0, count: 2 },
  { do: 'settle' },
  { do: 'pop', consumer: 0, count: 1 },
  { do: 'settle' },
  { do: 'restart' },
]

/** Found once: an object was accepted, and its acceptance had not been told to the store when the relay was stopped. */
const stoppedInBetween: Action[] = [{ do: 'produce', count: 1, copies: 1 }, { do: 'step', count: 2 }, { do: 'stop' }]

async function run(world: RestartWorld, next: Action): Promise<void> {
  const who = 'consumer' in next ? world.consumers[next.consumer] : undefined
  switch (next.do) {
    case 'produce':
      return world.produce(next.count, next.copies)
    case 'restart':
      return world.restart()
    case 'stop':
      return world.stop()
    case 'settle':
      return world.settle()
    case 'step':
      return world.step(next.count)
    case 'advance':
      return world.advance(next.ms)
  }
  if (who === undefined) return
  switch (next.do) {
    case 'notify':
      await who.endpoint.notify({ g: next.count })
      return
    case 'pop':
      for (const object of await who.endpoint.pop({ maxItems: next.count })) world.finish(object)
      return
    case 'take':
      if (who.endpoint.stats().inbox.objects > 0) await take(who)
      return
    case 'ack':
      for (const { object, ack } of who.held.splice(0, next.count)) {
        ack()
        world.finish(object)
      }
      return
    case 'release':
      for (const { release } of who.held.splice(0, next.count)) release()
      return
    case 'busy':
      who.setBusy(true)
      return
    case 'cut':
      for (const link of who.links) link.cut()
  }
}

/**
 * Takes one of the objects that are there, or one that comes later: it may learn only now that they are to be lent again.
 * A new iterator for each: the next object would acknowledge the one before.
 */
async function take(who: Consumer): Promise<void> {
  const taken = who.endpoint.deliveries().next()
  void taken.then(({ value }) => value !== undefined && who.held.push(value))
  await Promise.race([taken, new Promise((resolve) => setImmediate(resolve))])
}

function finishHeld(world: RestartWorld, who: Consumer): void {
  for (const { object, ack } of who.held.splice(0)) {
    ack()
    world.finish(object)
  }
}

async function finishAll(world: RestartWorld): Promise<void> {
  for (const who of world.consumers) {
    who.setBusy(false)
    finishHeld(world, who)
  }
  await world.advance(500)
  for (let round = 0; round < 20 && world.memory.copies + world.produced - world.accepted > 0; round++) {
    for (const who of world.consumers) {
      await who.endpoint.notify({ g: -1 })
      await world.advance(30)
      for (const object of await who.endpoint.retrieveAll()) world.finish(object)
      finishHeld(world, who)
    }
    await world.advance(30)
  }
}

describe('With a relay that is killed or stopped at any moment and remembers, all that is produced', () => {
  it('is taken once, whatever its consumers are doing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 60 }), async (actions) => {
        const world = await RestartWorld.open()
        for (const next of actions) await run(world, next)
        await finishAll(world)
        expect(world.accepted).toBe(world.produced)
        expect(world.done).toEqual(Array.from({ length: world.produced }, () => 1))
        expect(world.memory.copies).toBe(0)
        expect(world.errors).toEqual([])
      }),
      { numRuns: 25, examples: [[equalCopies], [stoppedInBetween]] },
    )
  }, 60_000)
})
