import { describe, expect, it } from 'vitest'
import { KeptMemory } from '../../test/support/keptMemory.ts'
import { RelayWorld } from '../../test/support/relayWorld.ts'
import { FakeClock } from '../clock.fixture.ts'
import type { Broker } from '../core/broker.ts'
import { relayLimitDefaults } from '../limits.ts'
import { BrokerHost } from './brokerHost.ts'

/** A run of the relay in which an operator sets something, and that is killed once it is kept. */
function set(memory: KeptMemory, what: (broker: Broker) => void): void {
  const store = memory.open()
  const ignored = (): void => undefined
  const host = new BrokerHost(
    { acceptedGroups: null, limits: relayLimitDefaults },
    { clock: new FakeClock(), store, remembered: ignored, awaits: ignored, event: ignored, failed: ignored },
  )
  what(host.broker)
  void store.commit()
  host.stop()
}

/** A run of the relay: what a member of "tasks" gets that asks for ten objects, while another sends so many. */
async function run(memory: KeptMemory, sent: number): Promise<{ log: readonly string[]; waiting: number | undefined }> {
  const world = await RelayWorld.create({ store: memory.open() })
  const worker = world.open({ groups: ['tasks'] })
  const producer = world.open()
  await world.settle()
  worker.notify('tasks', 10)
  for (let count = 0; count < sent; count++) producer.send('produce', 'tasks', 'x')
  producer.send('unretained', 'tasks', 'news')
  await world.settle()
  const { waiting } = world.server.stats().groups.tasks ?? {}
  // They are gone before the relay is, and what the worker had goes back.
  for (const endpoint of [worker, producer]) endpoint.stop(0)
  await world.settle()
  return { log: [...worker.log, ...producer.log], waiting }
}

describe('A group that an operator has paused', () => {
  it('is paused in each later run of the relay, and keeps what is sent, until it is resumed', async () => {
    const memory = new KeptMemory()
    set(memory, (broker) => broker.setPaused('tasks', true))
    // Only the broadcast comes.
    expect(await run(memory, 2)).toEqual({ log: ['object 2', 'accepted 0', 'accepted 1', 'accepted 2'], waiting: 2 })
    expect(await run(memory, 1)).toEqual({ log: ['object 1', 'accepted 0', 'accepted 1'], waiting: 3 })
    set(memory, (broker) => broker.setPaused('tasks', false))
    const { log, waiting } = await run(memory, 0)
    expect(log.filter((line) => line.startsWith('object'))).toHaveLength(4)
    expect(waiting).toBe(0)
  })

  it('has the policy that was set in each later run', async () => {
    const memory = new KeptMemory()
    set(memory, (broker) => {
      broker.setPaused('tasks', true)
      broker.setPolicy('tasks', { maxConsumables: 2, overflow: 'reject' })
    })
    expect((await run(memory, 3)).log).toContain('rejected 2')
    expect(await run(memory, 1)).toMatchObject({ log: expect.arrayContaining(['rejected 0']), waiting: 2 })
  })
})
