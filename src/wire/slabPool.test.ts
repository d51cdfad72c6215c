import { describe, expect, it } from 'vitest'
import { encodeText } from './controlFrames.ts'
import { FrameType } from './frameTypes.ts'
import { OutgoingLog } from './outgoingLog.ts'
import { SlabPool } from './slabPool.ts'

const frame = encodeText(FrameType.BLOCKED, 'a group')

/** A slab with two frames at its beginning. */
function slabWithFrames(slabs: SlabPool): Buffer {
  const slab = slabs.take()
  frame.copy(slab, 0)
  frame.copy(slab, frame.length)
  return slab
}

describe('A pool of slabs', () => {
  it('gives a slab again when all references to it were given back', () => {
    const slabs = new SlabPool()
    const slab = slabs.take()
    slabs.retain(slab.subarray(10, 20))
    slabs.release(slab)
    expect(slabs.take()).not.toBe(slab)
    slabs.release(slab.subarray(30, 31))
    expect(slabs.take()).toBe(slab)
  })

  it('leaves memory alone that is not its own', () => {
    const freed: Buffer[] = []
    const slabs = new SlabPool({ freed: (memory) => freed.push(memory) })
    const other = Buffer.alloc(10)
    slabs.retain(other)
    slabs.release(other)
    slabs.release(other)
    expect(freed).toEqual([])
    expect(slabs.take()).not.toBe(other)
  })

  it('gives a slab of its own to what is larger, once', () => {
    const slabs = new SlabPool({ slabBytes: 100 })
    const large = slabs.take(101)
    expect(large).toHaveLength(101)
    slabs.release(large)
    expect(slabs.take()).toHaveLength(100)
    expect(slabs.take(101)).not.toBe(large)
  })

  it('keeps no more than it can use again soon', () => {
    const slabs = new SlabPool()
    const taken = Array.from({ length: 100 }, () => slabs.take())
    for (const slab of taken) slabs.release(slab)
    const again = new Set(Array.from({ length: 100 }, () => slabs.take()))
    expect(taken.filter((slab) => again.has(slab))).toHaveLength(32)
  })
})

describe('A log of frames that lie in slabs', () => {
  it('needs a slab until the peer has confirmed all frames in it', () => {
    const freed: Buffer[] = []
    const slabs = new SlabPool({ freed: (memory) => freed.push(memory) })
    const log = new OutgoingLog(slabs)
    const slab = slabWithFrames(slabs)
    log.append(slab, 0, frame.length)
    log.append(slab, frame.length, 2 * frame.length)
    log.appendParts(Buffer.from('head'), [slab.subarray(100, 200), slab.subarray(200, 300)])
    slabs.release(slab)
    while (log.takeUnsent() !== undefined);
    log.confirm(1)
    log.confirm(2)
    expect(freed).toEqual([])
    log.confirm(3)
    expect(freed).toEqual([slab])
  })

  it('does not let a slab be used again that an earlier connection may still send from', () => {
    const freed: Buffer[] = []
    const slabs = new SlabPool({ freed: (memory) => freed.push(memory) })
    const log = new OutgoingLog(slabs)
    const sent = slabWithFrames(slabs)
    const unsent = slabWithFrames(slabs)
    log.append(sent, 0, 2 * frame.length, 2)
    log.takeUnsent()
    log.append(unsent, 0, 2 * frame.length, 2)
    for (const slab of [sent, unsent]) slabs.release(slab)
    log.rewind(1)
    while (log.takeUnsent() !== undefined);
    log.confirm(4)
    expect(freed).toEqual([unsent])
  })
})
