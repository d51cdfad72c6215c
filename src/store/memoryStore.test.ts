import { describe, expect, it } from 'vitest'
import { systemClock } from '../clock.ts'
import { SlabPool } from '../wire/slabPool.ts'
import { MemoryStore, openStore } from './memoryStore.ts'
import type { KeptFrame } from './store.ts'

const MiB = 1024 * 1024

/** A frame of which each byte tells which one it is. */
function frameOf(number: number, bytes: number): Buffer {
  return Buffer.alloc(bytes, number % 251)
}

function contentOf(frame: KeptFrame): Buffer {
  const { buffer, start, end } = frame.find() ?? { buffer: Buffer.alloc(0), start: 0, end: 0 }
  return buffer.subarray(start, end)
}

/** A store that overwrites what nobody may look at any more. */
function storeThatSpoils(): { store: MemoryStore; slabs: SlabPool; freed: Buffer[] } {
  const freed: Buffer[] = []
  const slabs = new SlabPool({
    freed(memory) {
      memory.fill(0xdd)
      freed.push(memory)
    },
  })
  const host = { report() {} }
  return { store: new MemoryStore({ files: undefined, host, clock: systemClock, slabs }), slabs, freed }
}

describe('The memory of a relay', () => {
  it('is not held by the few objects that wait among many that came and went', () => {
    const store = openStore()
    const waiting: { frame: KeptFrame; number: number; bytes: number }[] = []
    for (let number = 0; number < 300_000; number++) {
      const bytes = 50 + (number % 300)
      const frame = store.keep(frameOf(number, bytes), 0, bytes)
      if (number % 500 === 0) waiting.push({ frame, number, bytes })
      else store.release(frame)
      if (store.needsCompaction)
        store.compact(
          waiting.map((one) => one.frame),
          [],
        )
    }
    expect(waiting).toHaveLength(600)
    expect(store.memoryBytes).toBeLessThan(9 * MiB)
    for (const { frame, number, bytes } of waiting)
      expect(contentOf(frame).equals(frameOf(number, bytes)), `frame ${number}`).toBe(true)
  })

  it('leaves what is being sent as it was when the object is moved', () => {
    const { store, slabs, freed } = storeThatSpoils()
    const first = store.keep(frameOf(7, 100), 0, 100)
    const underWay = contentOf(first)
    slabs.retain(underWay)
    for (let number = 0; number < 2; number++) store.release(store.keep(frameOf(8, 120_000), 0, 120_000))
    store.keep(frameOf(9, 60_000), 0, 60_000)
    store.compact([first, first])
    expect(contentOf(first).buffer).not.toBe(underWay.buffer)
    expect(underWay.equals(frameOf(7, 100))).toBe(true)
    expect(contentOf(first).equals(frameOf(7, 100))).toBe(true)
    expect(freed).toEqual([])
    slabs.release(underWay)
    expect(freed.map(({ buffer }) => buffer)).toEqual([underWay.buffer])
  })

  it('is used again when nobody needs it any more', () => {
    const { store, freed } = storeThatSpoils()
    const memories = new Set<ArrayBufferLike>()
    let kept = store.keep(frameOf(0, 100_000), 0, 100_000)
    for (let number = 1; number < 1_000; number++) {
      const next = store.keep(frameOf(number, 100_000), 0, 100_000)
      expect(contentOf(kept).equals(frameOf(number - 1, 100_000))).toBe(true)
      memories.add(contentOf(next).buffer)
      store.release(kept)
      kept = next
    }
    expect(memories.size).toBe(2)
    expect(freed.length).toBeGreaterThan(400)
  })

  it('is given back when nothing is kept, frames that fill a slab of their own among it', () => {
    const store = openStore()
    const frames = Array.from({ length: 3_000 }, (_, number) => {
      const bytes = number % 3 === 0 ? 120_000 : 500
      return store.keep(frameOf(number, bytes), 0, bytes)
    })
    expect(store.memoryBytes).toBeGreaterThan(100 * MiB)
    for (const frame of frames) {
      store.release(frame)
      store.release(frame)
    }
    expect(store.memoryBytes).toBeLessThan(MiB)
  })
})
