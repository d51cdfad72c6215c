import { describe, expect, it } from 'vitest'
import type { KeptPlace } from '../../core/journal.ts'
import type { LargeBody, StoredObject } from '../store.ts'
import { beginOf, bodyOf, readBody, writeBody } from '../storedBody.fixture.ts'
import { type OpenedLog, openLog, settle } from './openLog.fixture.ts'

const body = bodyOf(1, 400_000)

/** Keeps a large object, and queues it. */
async function queued(log: OpenedLog, order: number): Promise<LargeBody> {
  const large = log.store.keepLarge(beginOf(order, body.length), body.length)
  await settle(log, writeBody(large, body))
  await settle(log, large.finish() ?? Promise.resolve())
  log.store.journal.queued(large, 'g', 0, order, 1)
  return large
}

async function committed(log: OpenedLog): Promise<void> {
  await settle(log, log.store.commit() ?? Promise.resolve())
}

/** The machine stops, and what was not synced is lost. */
async function crashed(log: OpenedLog): Promise<{ log: OpenedLog; places: KeptPlace<StoredObject>[] }> {
  log.files.crash()
  const again = await openLog(log.disk.crash(), log)
  const places: KeptPlace<StoredObject>[] = []
  again.store.recover({ groupSet: () => {}, place: (place) => void places.push(place), remembered: () => {} })
  return { log: again, places }
}

describe('The files of large objects', () => {
  it('are there until it is safe that nobody needs them, and not longer', async () => {
    const log = await openLog()
    const large = await queued(log, 1)
    await committed(log)
    log.store.journal.dropped(large, 'g', 1, 1, 1)
    log.store.release(large)
    const kept = log.store.commit()
    log.clock.advance(100)
    expect(log.files.files.size, 'while the commit is under way').toBe(1)
    await settle(log, kept ?? Promise.resolve())
    log.clock.advance(100)
    await settle(log, Promise.resolve())
    expect(log.files.files.size).toBe(0)
  })

  it('are there after a crash that came before it was safe that nobody needs them', async () => {
    const log = await openLog()
    const large = await queued(log, 1)
    await committed(log)
    log.store.journal.dropped(large, 'g', 1, 1, 1)
    log.store.release(large)
    log.store.commit()?.catch(() => {})
    log.clock.advance(100)
    const { log: again, places } = await crashed(log)
    expect(places).toHaveLength(1)
    const [{ payload } = { payload: undefined }] = places
    expect(payload !== undefined && 'begin' in payload && (await settle(again, readBody(payload))).equals(body)).toBe(
      true,
    )
  })

  it('are removed when the store is closed before their objects are whole, and only those', async () => {
    const log = await openLog()
    await queued(log, 1)
    await settle(log, writeBody(log.store.keepLarge(beginOf(2, body.length), body.length), body.subarray(0, 300_000)))
    await committed(log)
    expect(log.files.files.size).toBe(2)
    await settle(log, log.store.close())
    log.clock.advance(100)
    await settle(log, Promise.resolve())
    expect([...log.files.files.keys()]).toEqual(['1.body'])
    expect(log.files.openFiles).toBe(0)
  })

  it('are removed when an earlier run left them behind, and their names are not used again', async () => {
    const log = await openLog()
    await queued(log, 1)
    await committed(log)
    await queued(log, 2)
    expect([...log.files.files.keys()]).toEqual(['1.body', '2.body'])
    const { log: again, places } = await crashed(log)
    expect(places).toHaveLength(1)
    await queued(again, 3)
    expect([...again.files.files.keys()]).toEqual(['1.body', '3.body'])
  })

  it('are left alone if they have other names', async () => {
    const log = await openLog()
    for (const name of ['notes.txt', '007.body', '12.body.old']) log.files.synced.set(name, Buffer.alloc(3))
    const { log: again } = await crashed(log)
    await settle(again, Promise.resolve())
    again.clock.advance(100)
    expect([...again.files.files.keys()]).toEqual(['notes.txt', '007.body', '12.body.old'])
  })

  it.each<[string, (log: OpenedLog) => void, RegExp]>([
    ['is missing', ({ files }) => files.synced.delete('1.body'), /1\.body .* is missing/],
    ['is shorter', ({ files }) => files.synced.set('1.body', body.subarray(1)), /399999 bytes instead of 400000/],
    ['is longer', ({ files }) => files.synced.set('1.body', Buffer.alloc(400_001)), /400001 bytes instead of 400000/],
  ])('are not what they should be if one %s: STORE_CORRUPT', async (_, damage, message) => {
    const log = await openLog()
    await queued(log, 1)
    await committed(log)
    damage(log)
    await expect(crashed(log)).rejects.toMatchObject({ code: 'STORE_CORRUPT', message: expect.stringMatching(message) })
  })

  it('that cannot be removed are told of, and do no other harm', async () => {
    const log = await openLog()
    await queued(log, 1)
    log.files.crash()
    log.files.files.set('1.body', body)
    log.files.remove = () => Promise.reject(new Error('EACCES'))
    const again = await openLog(log.disk.crash(), log)
    await settle(again, Promise.resolve())
    expect(again.reports).toMatchObject([{ code: 'STORE_FAILED', message: expect.stringContaining('1.body') }])
  })
})
