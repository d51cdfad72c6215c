import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRingMemory, RingReader, RingWriter } from './ring.ts'

const CAPACITY = 4_096

function write(writer: RingWriter, endpoint: number, payload: Buffer): boolean {
  if (!writer.reserve(payload.length)) return false
  payload.copy(writer.buffer, writer.at)
  writer.commit(endpoint, payload.length)
  return true
}

function read(reader: RingReader): { endpoint: number; payload: Buffer } | undefined {
  if (!reader.next()) return undefined
  const record = { endpoint: reader.endpoint, payload: Buffer.from(reader.buffer.subarray(reader.start, reader.end)) }
  reader.release()
  return record
}

describe('A ring', () => {
  it.each([true, false])('keeps order and content of any records, around its end too (shared: %s)', (shared) => {
    const action = fc.oneof(
      fc.record({ write: fc.constant(true), bytes: fc.integer({ min: 0, max: CAPACITY / 2 - 8 }) }),
      fc.record({ write: fc.constant(false), bytes: fc.constant(0) }),
    )
    fc.assert(
      fc.property(fc.array(action, { maxLength: 300 }), (actions) => {
        const memory = createRingMemory(CAPACITY, shared)
        const writer = new RingWriter(memory)
        const reader = new RingReader(memory)
        const expected: { endpoint: number; payload: Buffer }[] = []
        for (const [index, { write: writes, bytes }] of actions.entries()) {
          const payload = Buffer.alloc(bytes, index)
          if (!writes) expect(read(reader)).toEqual(expected.shift())
          else if (write(writer, index, payload)) expected.push({ endpoint: index, payload })
        }
        for (const record of expected) expect(read(reader)).toEqual(record)
        expect(read(reader)).toBeUndefined()
      }),
      { numRuns: 100 },
    )
  })

  it('refuses what does not fit, and takes it when there is room', () => {
    const memory = createRingMemory(CAPACITY, false)
    const writer = new RingWriter(memory)
    const reader = new RingReader(memory)
    const payload = Buffer.alloc(1_000, 1)
    let written = 0
    while (write(writer, 0, payload)) written++
    expect(written).toBe(4)
    expect(write(writer, 0, payload)).toBe(false)
    expect(read(reader)?.payload).toEqual(payload)
    expect(write(writer, 0, payload)).toBe(true)
  })

  it('forgets a reservation that was not committed, also one behind its end', () => {
    const memory = createRingMemory(CAPACITY, false)
    const writer = new RingWriter(memory)
    const reader = new RingReader(memory)
    for (let round = 0; round < 50; round++) {
      expect(writer.reserve(1_500)).toBe(true)
      expect(writer.reserve(900)).toBe(true)
      writer.buffer.fill(round, writer.at, writer.at + 900)
      writer.commit(round, 900)
      expect(read(reader)).toEqual({ endpoint: round, payload: Buffer.alloc(900, round) })
    }
  })

  it('goes on when its positions pass 2^32', () => {
    const memory = createRingMemory(CAPACITY, false)
    memory.control.fill(-CAPACITY, 0, 2)
    const writer = new RingWriter(memory)
    const reader = new RingReader(memory)
    for (let round = 0; round < 20; round++) {
      expect(write(writer, round, Buffer.alloc(700, round))).toBe(true)
      expect(write(writer, round, Buffer.alloc(700, round))).toBe(true)
      expect(read(reader)?.payload).toEqual(Buffer.alloc(700, round))
      expect(read(reader)?.payload).toEqual(Buffer.alloc(700, round))
    }
  })

  it('asks for the bell only when the reader sleeps, and for the one back only when the writer waits', () => {
    const memory = createRingMemory(CAPACITY, false)
    const writer = new RingWriter(memory)
    const reader = new RingReader(memory)
    const commit = () => writer.reserve(8) && writer.commit(0, 8)
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

  it('needs a size that is a power of two', () => {
    for (const bytes of [0, 8, 100, 5_000]) expect(() => createRingMemory(bytes, false)).toThrow('power of two')
  })
})
