import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../clock.fixture.ts'
import type { ObjectRelayError } from '../../errors.ts'
import { fixedLimits } from '../../limits.ts'
import { SlabPool } from '../../wire/slabPool.ts'
import { bodyOf, TestReceiver } from './body.contract.ts'
import { SimulatedFiles } from './simulatedFiles.fixture.ts'
import { Spool } from './spool.ts'
import type { SpooledBody } from './spooledBody.ts'

const KiB = 1024
const MiB = 1024 * KiB
const begin = Buffer.from('begin')

class World {
  readonly clock = new FakeClock()
  readonly disk = new SimulatedFiles(this.clock)
  readonly reports: ObjectRelayError[] = []
  readonly spool: Spool
  bodies = 0

  constructor({ isTemporary = true, hasDisk = true } = {}) {
    this.spool = new Spool({
      files: hasDisk ? this.disk : undefined,
      isTemporary,
      clock: this.clock,
      host: { report: (error) => this.reports.push(error) },
      slabs: new SlabPool({ freed: (memory) => memory.fill(0xdd) }),
    })
  }

  keep(bytes: number): SpooledBody {
    return this.spool.keep(begin, bytes, `${++this.bodies}`)
  }

  /** Lets the disk work for so long. */
  async run(ms = 1_000): Promise<void> {
    for (let step = 0; step < ms; step++) {
      await Promise.resolve()
      await Promise.resolve()
      this.clock.advance(1)
      for (let turn = 0; turn < 8; turn++) await Promise.resolve()
    }
  }
}

/** Sends a body as fast as the store has room for it; `between` is called after each part. */
async function send(
  world: World,
  body: SpooledBody,
  content: Buffer,
  { partBytes = 16 * KiB, end = content.length, between = () => {} } = {},
): Promise<void> {
  let stuck = 0
  while (body.receivedBytes < end) {
    const at = body.receivedBytes
    const part = content.subarray(at, Math.min(at + partBytes, body.roomEnd, end))
    if (part.length > 0) body.writeAt(at, part)
    else {
      expect(stuck++).toBeLessThan(1_000)
      await world.run(1)
    }
    between()
  }
}

describe('A large object in a store', () => {
  it('goes to a receiver that keeps up as it came, and is never read from the disk', async () => {
    const world = new World()
    const content = bodyOf(1, 5 * MiB)
    const body = world.keep(content.length)
    const receiver = new TestReceiver((onReadable) => body.openReader(onReadable))
    await send(world, body, content)
    expect(body.finish()).toBeUndefined()
    expect(receiver.position).toBe(content.length - 1)
    body.releaseEnd()
    expect(receiver.content.equals(content)).toBe(true)
    expect(world.disk.reads).toBe(0)
  })

  it('takes a bounded part of the memory, whatever its size and its receivers do', async () => {
    const world = new World()
    const content = bodyOf(2, 24 * MiB)
    const body = world.keep(content.length)
    const receivers = Array.from({ length: 24 }, (_, index) => {
      const receiver = new TestReceiver((onReadable) => body.openReader(onReadable), { reads: index % 3 === 0 })
      return receiver
    })
    let most = 0
    const watch = () => {
      most = Math.max(most, world.spool.memoryBytes)
    }
    await send(world, body, content, { between: watch })
    body.releaseEnd()
    for (const [index, receiver] of receivers.entries()) {
      receiver.reads = true
      receiver.read()
      if (index % 6 === 0) await world.run(3)
      watch()
    }
    for (let round = 0; round < 200; round++) {
      await world.run(2)
      watch()
    }
    expect(receivers.every(({ position }) => position === content.length)).toBe(true)
    const { bodyUnwrittenBytesMax, bodyTailBytes, bodyReadBytesMax } = fixedLimits
    expect(most).toBeLessThan(bodyUnwrittenBytesMax + bodyTailBytes + bodyReadBytesMax + MiB)
    expect(receivers[1]?.content.equals(content)).toBe(true)
  })

  it('holds its sender back while the disk is slow, and lets it go on', async () => {
    const world = new World()
    world.disk.faults.delayMs = 500
    const content = bodyOf(3, 6 * MiB)
    const body = world.keep(content.length)
    const rooms: number[] = []
    body.onRoom = () => rooms.push(body.roomEnd)
    await send(world, body, content, { end: fixedLimits.bodyUnwrittenBytesMax })
    expect(body.roomEnd).toBe(fixedLimits.bodyUnwrittenBytesMax)
    const before = rooms.length
    await world.run(400)
    expect(rooms).toHaveLength(before)
    await world.run(700)
    expect(rooms.length).toBeGreaterThan(before)
    expect(body.roomEnd).toBeGreaterThan(fixedLimits.bodyUnwrittenBytesMax)
  })

  it('has its sender keep the pace of its fastest receiver, as long as that keeps up', async () => {
    const world = new World()
    const content = bodyOf(15, 20 * MiB)
    const body = world.keep(content.length)
    const receiver = new TestReceiver((onReadable) => body.openReader(onReadable), { reads: false })
    new TestReceiver((onReadable) => body.openReader(onReadable), { reads: false })
    // A little slower than the disk and the sender.
    const readNow = () => {
      receiver.reads = true
      receiver.read()
      receiver.reads = false
    }
    while (body.receivedBytes < 10 * MiB) {
      await send(world, body, content, { end: Math.min(10 * MiB, body.roomEnd) })
      await world.run(30)
      readNow()
    }
    expect(world.disk.reads).toBe(0)
    const beforeMs = world.clock.nowMs()
    await send(world, body, content)
    // Now it does not read any more: that costs the sender a tenth of a second.
    expect(world.clock.nowMs() - beforeMs).toBeLessThan(200)
  })

  it('is read back for receivers that come late, and by one that fell behind and came back', async () => {
    const world = new World()
    const content = bodyOf(4, 9 * MiB + 12_345)
    const body = world.keep(content.length)
    const slow = new TestReceiver((onReadable) => body.openReader(onReadable))
    await send(world, body, content, { end: 2 * MiB })
    slow.reads = false
    await send(world, body, content)
    body.releaseEnd()
    await world.run(20)
    const late = new TestReceiver((onReadable) => body.openReader(onReadable))
    slow.reads = true
    slow.read()
    await world.run(300)
    expect(world.disk.reads).toBeGreaterThan(30)
    expect(slow.content.equals(content)).toBe(true)
    expect(late.content.equals(content)).toBe(true)
  })

  it('is gone, file and memory, when it is released and nobody reads it any more', async () => {
    const world = new World()
    const content = bodyOf(5, 4 * MiB)
    const body = world.keep(content.length)
    await send(world, body, content)
    body.releaseEnd()
    const reader = new TestReceiver((onReadable) => body.openReader(onReadable), { reads: false })
    await world.run(30)
    body.release()
    reader.reads = true
    reader.read()
    await world.run(100)
    expect(reader.content.equals(content)).toBe(true)
    expect(world.disk.files.size).toBe(1)
    reader.close()
    await world.run(10)
    expect(world.disk.files.size).toBe(0)
    expect(world.disk.openFiles).toBe(0)
    expect(world.spool.memoryBytes).toBe(0)
  })

  it('is gone when it is given up while it is written', async () => {
    const world = new World()
    world.disk.faults.delayMs = 50
    for (const ms of [0, 10, 60, 120]) {
      const body = world.keep(8 * MiB)
      const reader = new TestReceiver((onReadable) => body.openReader(onReadable))
      body.writeAt(0, bodyOf(6, MiB))
      await world.run(ms)
      reader.close()
      body.release()
      body.release()
    }
    await world.run(500)
    expect(world.disk.files.size).toBe(0)
    expect(world.disk.openFiles).toBe(0)
    expect(world.spool.memoryBytes).toBe(0)
  })

  it('takes again what came already, and refuses gaps and what goes beyond its end', () => {
    const body = new World().keep(3 * MiB)
    const content = bodyOf(7, 3 * MiB)
    body.writeAt(0, content.subarray(0, 100_000))
    body.writeAt(50_000, content.subarray(50_000, 120_000))
    body.writeAt(0, content.subarray(0, 10))
    expect(body.receivedBytes).toBe(120_000)
    expect(() => body.writeAt(120_001, content.subarray(0, 10))).toThrow('does not follow')
    expect(() => body.writeAt(120_000, Buffer.alloc(3 * MiB))).toThrow('goes beyond its end')
  })

  it('is put together from parts of any size, in and out, whatever of them comes twice', async () => {
    const part = fc.tuple(
      fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 900_000 })),
      fc.nat(50_000),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 12 }), fc.boolean(), async (parts, reads) => {
        const world = new World()
        const content = bodyOf(8, 1 + parts.reduce((sum, [bytes]) => sum + bytes, 0))
        const body = world.keep(content.length)
        const receiver = new TestReceiver((onReadable) => body.openReader(onReadable), { reads })
        let end = 0
        for (const [bytes, again] of [...parts, [1, 0] as const]) {
          const start = Math.max(0, end - again)
          end += bytes
          // What is given must not change later, so each part is memory of its own.
          body.writeAt(start, Buffer.from(content.subarray(start, end)))
          expect(body.receivedBytes).toBe(end)
          await world.run(2)
        }
        body.releaseEnd()
        receiver.reads = true
        receiver.read()
        await world.run(60)
        expect(receiver.content.equals(content)).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  it('costs little more than it counts when it comes in tiny parts, as others do', () => {
    const world = new World({ hasDisk: false })
    const bodies = Array.from({ length: 40 }, () => world.keep(4_097 * 50))
    let offset = 0
    for (const bytes of Array.from({ length: 50 }, () => [4_096, 1]).flat()) {
      for (const body of bodies) body.writeAt(offset, Buffer.alloc(bytes))
      offset += bytes
    }
    const memories = new Set(bodies.flatMap((body) => body.pieces(0, offset).map(({ buffer }) => buffer)))
    const bytes = [...memories].reduce((sum, { byteLength }) => sum + byteLength, 0)
    expect(bytes).toBeLessThan(bodies.length * offset + 256 * KiB)
  })
})

describe('A store that only puts large objects aside', () => {
  it('leaves small ones in memory, as far as there is room', async () => {
    const world = new World()
    const bodies = Array.from({ length: 40 }, () => world.keep(MiB))
    for (const body of bodies) await send(world, body, bodyOf(9, MiB))
    await world.run(50)
    const { bodyMemoryBytesMax } = fixedLimits
    expect(world.disk.files.size).toBe(40 - bodyMemoryBytesMax / MiB)
    expect(world.spool.memoryBytes).toBe(bodyMemoryBytesMax)
    for (const body of bodies) body.release()
    await world.run(50)
    expect(world.disk.files.size).toBe(0)
    expect(world.spool.memoryBytes).toBe(0)
    await send(world, world.keep(MiB), bodyOf(9, MiB))
    expect(world.disk.files.size).toBe(0)
  })

  it('keeps in memory what cannot be written, and says so once', async () => {
    const world = new World()
    const content = bodyOf(10, 8 * MiB)
    const body = world.keep(content.length)
    await send(world, body, content, { end: 3 * MiB })
    await world.run(10)
    world.disk.faults.writeError = Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    await send(world, body, content)
    body.releaseEnd()
    const other = world.keep(content.length)
    await send(world, other, content)
    other.releaseEnd()
    await world.run(50)
    expect(world.reports.map(({ code }) => code)).toEqual(['STORE_FULL'])
    expect(world.reports[0]?.message).toContain('spillDir')
    for (const kept of [body, other]) {
      const receiver = new TestReceiver((onReadable) => kept.openReader(onReadable))
      await world.run(50)
      expect(receiver.content.equals(content)).toBe(true)
    }
    world.disk.faults.writeError = undefined
    await world.run(30_000)
    const later = world.keep(content.length)
    await send(world, later, content)
    await world.run(20)
    expect(world.disk.files.get('3')?.length).toBe(content.length)
  })

  it('reads again after a while what could not be read', async () => {
    const world = new World()
    const content = bodyOf(11, 4 * MiB)
    const body = world.keep(content.length)
    await send(world, body, content)
    body.releaseEnd()
    await world.run(20)
    world.disk.faults.readError = new Error('bad sector')
    const receiver = new TestReceiver((onReadable) => body.openReader(onReadable))
    await world.run(3_000)
    expect(receiver.position).toBe(0)
    expect(world.reports.map(({ code }) => code)).toEqual(['STORE_FAILED'])
    world.disk.faults.readError = undefined
    await world.run(1_200)
    expect(receiver.content.equals(content)).toBe(true)
  })
})

describe('A store that makes large objects safe', () => {
  it('says so when all of it is written and synced, and gives nobody the last byte before', async () => {
    const world = new World({ isTemporary: false })
    const content = bodyOf(12, 300 * KiB)
    const body = world.keep(content.length)
    const receiver = new TestReceiver((onReadable) => body.openReader(onReadable))
    await send(world, body, content)
    let safe = false
    const finished = body.finish()?.then(() => {
      safe = true
    })
    expect(safe).toBe(false)
    expect(receiver.position).toBe(content.length - 1)
    await world.run(20)
    await finished
    expect(world.disk.synced.get('1')?.equals(content)).toBe(true)
    body.releaseEnd()
    expect(receiver.content.equals(content)).toBe(true)
    receiver.close()
    await world.run(5)
    expect(world.disk.openFiles).toBe(0)
  })

  it('refuses what cannot be written, with the reason', async () => {
    const world = new World({ isTemporary: false })
    const errors: ObjectRelayError[] = []
    const body = world.keep(4 * MiB)
    body.onRoom = (error) => {
      if (error !== undefined) errors.push(error)
    }
    world.disk.faults.writeError = Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    body.writeAt(0, bodyOf(13, MiB))
    await world.run(20)
    expect(errors.map(({ code }) => code)).toEqual(['STORE_FULL'])
    await expect(body.finish()).rejects.toMatchObject({ code: 'STORE_FULL' })
    expect(world.reports).toEqual([])
    body.release()
    await world.run(20)
    expect(world.spool.memoryBytes).toBe(0)
    expect(world.disk.files.size).toBe(0)
  })

  it('reads after a restart what was safe before it', async () => {
    const world = new World({ isTemporary: false })
    const content = bodyOf(14, 2 * MiB + 5)
    const body = world.keep(content.length)
    await send(world, body, content)
    const finished = body.finish()
    await world.run(30)
    await finished
    world.disk.crash()
    const restored = world.spool.restore(begin, content.length, '1')
    expect(restored.receivedBytes).toBe(content.length)
    expect(restored.finish()).toBeUndefined()
    const receiver = new TestReceiver((onReadable) => restored.openReader(onReadable))
    await world.run(60)
    expect(receiver.content.equals(content)).toBe(true)
    receiver.close()
    restored.release()
    await world.run(5)
    expect(await world.disk.list()).toEqual(new Map())
    expect(world.disk.openFiles).toBe(0)
  })
})
