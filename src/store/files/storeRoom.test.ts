import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../clock.fixture.ts'
import type { ObjectRelayError } from '../../errors.ts'
import { StoreRoom } from './storeRoom.ts'

const MiB = 1024 * 1024

function room({ bytesMax, freeBytes = 1e12 }: { bytesMax?: number; freeBytes?: number }) {
  const sizes = { log: 0, bodies: 0, free: freeBytes }
  const reports: ObjectRelayError[] = []
  const clock = new FakeClock()
  const tested = new StoreRoom({
    folder: 'folder',
    bytesMax,
    clock,
    logBytes: () => sizes.log,
    bodyBytes: () => sizes.bodies,
    report: (error) => void reports.push(error),
    measure: async () => sizes.free,
  })
  return { tested, sizes, reports, clock }
}

describe('The room of a store', () => {
  it('says what is too much for bytesMax before it is kept, once for all, and takes it when there is room again', () => {
    const { tested, sizes, reports, clock } = room({ bytesMax: 100 * MiB })
    const needed = { liveBytes: 70 * MiB, pendingBytes: 0, bytes: 1 * MiB }
    sizes.log = 70 * MiB
    expect(tested.refusal(needed)).toBeUndefined()
    const more = { ...needed, liveBytes: 75 * MiB }
    expect(tested.refusal(more)).toMatchObject({ code: 'STORE_FULL', message: expect.stringContaining('bytesMax') })
    expect(tested.refusal(more)).toMatchObject({ code: 'STORE_FULL' })
    expect(reports).toHaveLength(1)
    expect(tested.refusal(needed)).toBeUndefined()
    // A smaller one that just found room is no reason to tell it again.
    expect(tested.refusal(more)).toBeDefined()
    expect(reports).toHaveLength(1)
    expect(tested.refusal(needed)).toBeUndefined()
    clock.advance(10_000)
    expect(tested.refusal(more)).toBeDefined()
    expect(reports).toHaveLength(2)
  })

  it('keeps room for what is told of objects: what is needed no more does not keep new ones out before that is used up', () => {
    const { tested, sizes } = room({ bytesMax: 100 * MiB })
    sizes.log = 86 * MiB
    expect(tested.refusal({ liveBytes: 10 * MiB, pendingBytes: 0, bytes: 100 })).toBeUndefined()
    expect(tested.isCramped).toBe(true)
    expect(tested.isFull).toBe(false)
    sizes.log = 88 * MiB
    expect(tested.refusal({ liveBytes: 10 * MiB, pendingBytes: 0, bytes: 100 })).toBeDefined()
    sizes.log = 95 * MiB
    expect(tested.isFull).toBe(true)
  })

  it('looks at the disk as it writes, and refuses before it is full', async () => {
    const { tested, sizes, clock } = room({ freeBytes: 1_000 * MiB })
    await tested.look()
    const needed = { liveBytes: 0, pendingBytes: 0, bytes: 100 }
    expect(tested.refusal(needed)).toBeUndefined()
    sizes.free = 1 * MiB
    clock.advance(2_000)
    tested.wrote(100)
    await new Promise((resolve) => setImmediate(resolve))
    expect(tested.refusal({ ...needed, bytes: 1 * MiB })).toMatchObject({
      message: expect.stringContaining('nearly full'),
    })
  })

  it('makes files small where there is little room', () => {
    expect(room({ bytesMax: 8 * MiB }).tested.fileBytesMax).toBe(MiB / 4)
    expect(room({ bytesMax: 1_024 * MiB }).tested.fileBytesMax).toBe(32 * MiB)
    expect(room({}).tested.fileBytesMax).toBe(64 * MiB)
  })
})
