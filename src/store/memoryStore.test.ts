import { describe, expect, it } from 'vitest'
import { openStore } from './memoryStore.ts'
import type { KeptFrame } from './store.ts'

const MiB = 1024 * 1024

/** A frame of which each byte tells which one it is. */
function frameOf(number: number, bytes: number): Buffer {
  return Buffer.alloc(bytes, number % 251)
}

function contentOf({ buffer, start, end }: KeptFrame): Buffer {
  return buffer.subarray(start, end)
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
      if (store.isSparse)
        store.moveTogether(
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
    const store = openStore()
    const first = store.keep(frameOf(7, 100), 0, 100)
    const underWay = contentOf(first)
    store.release(store.keep(frameOf(8, 65_000), 0, 65_000))
    store.keep(frameOf(9, 60_000), 0, 60_000)
    store.moveTogether([first, first], [])
    expect(contentOf(first).buffer).not.toBe(underWay.buffer)
    expect(underWay.equals(frameOf(7, 100))).toBe(true)
    expect(contentOf(first).equals(frameOf(7, 100))).toBe(true)
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
