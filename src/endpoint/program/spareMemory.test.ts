import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SPARE_BYTES_MIN } from '../records.ts'
import { SpareMemory } from './spareMemory.ts'

const MiB = 1024 * 1024

describe('Spare memory', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('is given once, to who needs exactly that size', () => {
    const spare = new SpareMemory()
    const buffer = new ArrayBuffer(MiB)
    spare.give([buffer])
    expect(spare.take(MiB - 1)).toBeUndefined()
    expect(spare.take(MiB)).toBe(buffer)
    expect(spare.take(MiB)).toBeUndefined()
  })

  it('keeps nothing small, and not more than 128 MiB', () => {
    const spare = new SpareMemory()
    spare.give([new ArrayBuffer(SPARE_BYTES_MIN - 1)])
    expect(spare.take(SPARE_BYTES_MIN - 1)).toBeUndefined()
    spare.give(Array.from({ length: 130 }, () => new ArrayBuffer(MiB)))
    let kept = 0
    while (spare.take(MiB) !== undefined) kept++
    expect(kept).toBe(2)
  })

  it('is let go when nothing large is sent for a while', () => {
    const spare = new SpareMemory()
    spare.give([new ArrayBuffer(MiB)])
    vi.advanceTimersByTime(900)
    spare.give([new ArrayBuffer(MiB)])
    vi.advanceTimersByTime(900)
    expect(spare.take(MiB)).toBeDefined()
    vi.advanceTimersByTime(200)
    expect(spare.take(MiB)).toBeUndefined()
  })
})
