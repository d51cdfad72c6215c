import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createRingMemory, RingReader, RingWriter } from './ring.ts'

const CAPACITY = 4_096

/** A record begins with its length and a type. */
function recordOf(bytes: number, content: number, type = 0x80): Buffer {
  const record = Buffer.alloc(bytes, content)
  record.writeUInt32LE(bytes)
  record[4] = type
  return record
}

function write(writer: RingWriter, endpoint: number, record: Buffer): boolean {
  if (!writer.reserve(endpoint, record.length)) return false
  // The length is written by the ring.
  record.copy(writer.buffer, writer.at + 4, 4)
  writer.commit(record.length)
  return true
}

function read(reader: RingReader): { endpoint: number; record: Buffer } | undefined {
  if (!reader.next()) return undefined
  const found = { endpoint: reader.endpoint, record: Buffer.from(reader.buffer.subarray(reader.start, reader.end)) }
  reader.release()
  return found
}

describe('A ring', () => {
  it.each([true, false])('keeps order and content of any records, around its end too (shared: %s)', (shared) => {
    const action = fc.oneof(
      fc.record({
        write: fc.constant(true),
        bytes: fc.integer({ min: 5, max: CAPACITY / 2 - 8 }),
        to: fc.nat({ max: 2 }),
      }),
      fc.record({ write: fc.constant(false), bytes: fc.constant(0), to: fc.constant(0) }),
    )
    fc.assert(
      fc.property(fc.array(action, { maxLength: 300 }), (actions) => {
        const memory = createRingMemory(CAPACITY, shared)
        const writer = new RingWriter(memory)
        const reader = new RingReader(memory)
        const expected: { endpoint: number; record: Buffer }[] = []
        for (const [index, { write: writes, bytes, to: endpoint }] of actions.entries()) {
          if (!writes) {
            expect(read(reader)).toEqual(expected.shift())
            continue
          }
          const record = recordOf(bytes, index)
          if (write(writer, endpoint, record)) expected.push({ endpoint, record })
        }
        for (const record of expected) expect(read(reader)).toEqual(record)
        expect(read(reader)).toBeUndefined()
      }),
      { numRuns: 100 },
    )
  })

  it('finds records of one type and one endpoint that lie in a row together, up to a bound', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ bytes: fc.integer({ min: 5, max: 300 }), run: fc.boolean(), to: fc.nat({ max: 1 }) })),
        (records) => {
          const memory = createRingMemory(CAPACITY, false)
          const writer = new RingWriter(memory)
          // The number of an endpoint may look like the type.
          const reader = new RingReader(memory, { runType: 0x20, runBytesMax: 500 })
          const written: Buffer[] = []
          const found: Buffer[] = []
          const readAll = () => {
            for (let run = read(reader); run !== undefined; run = read(reader)) {
              const first = run.record.readUInt32LE()
              expect(run.record.length).toBeLessThanOrEqual(Math.max(first, 500))
              for (let at = 0; at < run.record.length; at += run.record.readUInt32LE(at)) {
                const one = run.record.subarray(at, at + run.record.readUInt32LE(at))
                if (run.record.length > first) expect(one[4]).toBe(0x20)
                expect(one[5] ?? run.endpoint - 0x20).toBe(run.endpoint - 0x20)
                found.push(one)
              }
            }
          }
          for (const { bytes, run, to } of records) {
            const record = recordOf(bytes, to, run ? 0x20 : 0x80)
            while (!write(writer, 0x20 + to, record)) readAll()
            written.push(record)
          }
          readAll()
          expect(found).toEqual(written)
        },
      ),
      { numRuns: 100 },
    )
  })

  it('refuses what does not fit, and takes it when there is room', () => {
    const memory = createRingMemory(CAPACITY, false)
    const writer = new RingWriter(memory)
    const reader = new RingReader(memory)
    const record = recordOf(1_000, 1)
    let written = 0
    while (write(writer, 0, record)) written++
    expect(written).toBe(4)
    expect(write(writer, 0, record)).toBe(false)
    expect(read(reader)?.record).toEqual(record)
    expect(write(writer, 0, record)).toBe(true)
  })

  it('forgets a reservation that was not committed, also one behind its end', () => {
    const memory = createRingMemory(CAPACITY, false)
    const writer = new RingWriter(memory)
    const reader = new RingReader(memory)
    for (let round = 0; round < 50; round++) {
      expect(writer.reserve(1_000 + round, 1_500)).toBe(true)
      expect(write(writer, round, recordOf(900, round))).toBe(true)
      expect(read(reader)).toEqual({ endpoint: round, record: recordOf(900, round) })
    }
  })

  it('goes on when its positions pass 2^32', () => {
    const memory = createRingMemory(CAPACITY, false)
    memory.control.fill(-CAPACITY, 0, 2)
    const writer = new RingWriter(memory)
    const reader = new RingReader(memory)
    for (let round = 0; round < 20; round++) {
      expect(write(writer, round, recordOf(700, round))).toBe(true)
      expect(write(writer, round, recordOf(700, round))).toBe(true)
      expect(read(reader)?.record).toEqual(recordOf(700, round))
      expect(read(reader)?.record).toEqual(recordOf(700, round))
    }
  })

  it('asks for a waker only when the reader sleeps, and for the other one only when the writer waits', () => {
    const memory = createRingMemory(CAPACITY, false)
    const writer = new RingWriter(memory)
    const reader = new RingReader(memory)
    const commit = () => writer.reserve(0, 8) && writer.commit(8)
    expect(commit()).toBe(false)
    expect(reader.next()).toBe(true)
    expect(reader.release()).toBe(false)
    expect(reader.sleep()).toBe(true)
    expect(commit()).toBe(true)
    expect(commit()).toBe(false)
    expect(reader.sleep()).toBe(false)
    writer.waitForRoom()
    expect(reader.next()).toBe(true)
    expect(reader.release()).toBe(true)
    expect(reader.next()).toBe(true)
    expect(reader.release()).toBe(false)
  })

  it('wakes the writer when half of it is free, and not for each record', () => {
    const memory = createRingMemory(CAPACITY, false)
    const writer = new RingWriter(memory)
    const reader = new RingReader(memory)
    while (write(writer, 0, recordOf(500, 1)));
    writer.waitForRoom()
    const wakes: boolean[] = []
    while (reader.next()) wakes.push(reader.release())
    expect(wakes).toEqual([false, false, false, true, false, false, false, false])
  })

  it('wakes a writer that is blocked when half of it is free, and needs no waker for that', () => {
    const memory = createRingMemory(CAPACITY, true)
    const writer = new RingWriter(memory)
    const reader = new RingReader(memory)
    while (write(writer, 0, recordOf(500, 1)));
    const notified = vi.spyOn(Atomics, 'notify')
    const needsWaker: boolean[] = []
    const wakes: number[] = []
    // What another thread does while this one is blocked.
    const blocked = vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      while (reader.next()) {
        needsWaker.push(reader.release())
        wakes.push(notified.mock.calls.length)
      }
      return 'ok'
    })
    onTestFinished(() => {
      blocked.mockRestore()
      notified.mockRestore()
    })
    writer.blockForRoom(1_000)
    expect(blocked).toHaveBeenCalledTimes(1)
    expect(needsWaker).toEqual([false, false, false, false, false, false, false, false])
    expect(wakes).toEqual([0, 0, 0, 1, 1, 1, 1, 1])
    expect(writer.reserve(0, 2_000)).toBe(true)
  })

  it('blocks its writer no longer than it was told, and tells it whether the reader has moved', () => {
    const memory = createRingMemory(CAPACITY, true)
    const writer = new RingWriter(memory)
    const waited = vi.spyOn(Atomics, 'wait')
    onTestFinished(() => waited.mockRestore())
    writer.blockForRoom(1)
    expect(waited.mock.results.map(({ value }) => value)).toEqual(['timed-out'])
    const { readerPosition } = writer
    const reader = new RingReader(memory)
    write(writer, 0, recordOf(500, 1))
    read(reader)
    expect(writer.readerPosition).not.toBe(readerPosition)
  })

  it('needs a size that is a power of two', () => {
    for (const bytes of [0, 8, 100, 5_000]) expect(() => createRingMemory(bytes, false)).toThrow('power of two')
  })
})
