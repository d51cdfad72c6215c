import { describe, expect, it } from 'vitest'
import { type ProgramEnd, RelayWorld } from '../../test/support/relayWorld.ts'
import { FakeClock } from '../clock.fixture.ts'
import { createError } from '../errors.ts'
import { LogStore } from '../store/log/logStore.ts'
import { MemoryDisk } from '../store/log/memoryDisk.fixture.ts'
import { SimulatedFiles } from '../store/spool/simulatedFiles.fixture.ts'

const MiB = 1024 * 1024

interface Durable {
  readonly world: RelayWorld
  readonly disk: MemoryDisk
  readonly store: LogStore
}

/** A relay with a log on a disk that does what the test says. */
async function durable(): Promise<Durable> {
  const clock = new FakeClock()
  const disk = new MemoryDisk(new SimulatedFiles(clock))
  const host = { report() {} }
  const store = await LogStore.open(disk, { newRelayName: 'relay', ticketKey: new Uint8Array(32), clock, host })
  return { world: await RelayWorld.create({ store }), disk, store }
}

async function settled({ world, disk }: Durable): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    disk.complete()
    await world.settle()
  }
}

describe('A relay whose disk hangs', () => {
  it('takes no more from its endpoints than it can hold, and goes on where it was', async () => {
    const durably = await durable()
    const { world, disk, store } = durably
    const producers = Array.from({ length: 12 }, () => world.open())
    await settled(durably)
    const body = Buffer.alloc(100_000, 7)
    let sent = 0
    for (let round = 0; round < 60; round++) {
      for (const producer of producers) {
        producer.send('produce', 'g', body)
        sent++
      }
      await world.settle()
    }
    expect(store.pendingBytes).toBeGreaterThan(8 * MiB)
    expect(store.pendingBytes, `of ${sent} objects of 100 kB`).toBeLessThan(20 * MiB)
    expect(producers.flatMap(({ log }) => log)).toEqual([])
    for (let turn = 0; turn < 400; turn++) {
      disk.complete()
      await world.advance(1)
    }
    expect(producers.flatMap(({ log }) => log).filter((line) => line.startsWith('accepted'))).toHaveLength(sent)
  })

  it('stops by its deadline, and does not count what it never accepted', async () => {
    const durably = await durable()
    const { world, disk } = durably
    const producer = world.open()
    await settled(durably)
    producer.send('produce', 'kept', 'first')
    await settled(durably)
    producer.send('produce', 'kept', 'second')
    producer.send('produce', 'unkept', 'third')
    await world.settle()
    expect(disk.isCommitting).toBe(true)
    let result: unknown
    void world.server.stop(100).then((stopped) => {
      result = stopped
    })
    for (let ms = 0; ms < 1_300; ms += 10) await world.advance(10)
    expect(result).toEqual({ deadlineReached: true, undelivered: { kept: { waiting: 1, leased: 0 } } })
  })
})

describe('A relay whose objects are on the disk only', () => {
  it('delivers them when they have been read, in their order, and goes on with others meanwhile', async () => {
    const durably = await durable()
    const { world, disk } = durably
    const producer = world.open()
    await settled(durably)
    const body = Buffer.alloc(100_000, 7)
    for (let count = 0; count < 80; count++) {
      producer.send('produce', 'g', body)
      await settled(durably)
    }
    let read: () => void = () => undefined
    disk.beforeRead = new Promise((resolve) => {
      read = resolve
    })
    const consumer: ProgramEnd = world.open({ groups: ['g', 'h'] })
    await settled(durably)
    consumer.notify('g', 2)
    producer.send('produce', 'other', 'is accepted')
    await settled(durably)
    expect(disk.reads).toBeGreaterThan(0)
    expect(consumer.log).toEqual([])
    expect(producer.log.at(-1)).toBe('accepted 80')
    read()
    await settled(durably)
    expect(consumer.log).toEqual(['object 0', 'object 1'])
  })

  it('ends with a typed error when they cannot be read', async () => {
    const durably = await durable()
    const { world, disk } = durably
    const producer = world.open()
    await settled(durably)
    for (let count = 0; count < 80; count++) {
      producer.send('produce', 'g', Buffer.alloc(100_000, 7))
      await settled(durably)
    }
    disk.beforeRead = Promise.reject(createError('STORE_FAILED', 'The disk is gone.'))
    disk.beforeRead.catch(() => undefined)
    world.open({ groups: ['g'] }).notify('g', 1)
    await settled(durably)
    expect(world.events.filter(({ name }) => name === 'error')).toMatchObject([
      { value: { error: { code: 'STORE_FAILED' } } },
    ])
  })
})
