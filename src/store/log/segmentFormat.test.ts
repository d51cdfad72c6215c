import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { frameOf } from '../storeWitness.fixture.ts'
import { openLog } from './openLog.fixture.ts'
import { RecordType, recordBytes } from './recordFormat.ts'

/** Writes bytes with spaces between the fields, as the drawings show them. */
function hex(bytes: Buffer, fields: readonly number[]): string {
  const texts: string[] = []
  let at = 0
  for (const length of fields) {
    texts.push(bytes.toString('hex', at, at + length))
    at += length
  }
  expect(at, 'all bytes are drawn').toBe(bytes.length)
  return texts.join(' ')
}

/** Widths of the fields of a record with a place. */
const place = [1, 1, 2, 4, 4, 8]

describe('A segment', () => {
  it('has these bytes', async () => {
    const { store, disk } = await openLog()
    const { journal } = store
    const frame = store.keep(frameOf(7, 30), 0, 30)
    journal.queued(frame, 'g', 1, 5, 1)
    journal.leased(frame, 'g', 1, 'a-session', 5)
    journal.seen(frame, 'g', 1, 'a-session', 5)
    journal.buried(frame, 'g', 1, 'a-session', true, 'g.dead', 9, 5)
    journal.died(frame, 'g.dead', 9, { reason: 'lost', attempts: 1, endpoint: 'e', diedAtMs: 2 })
    const kept = store.commit()
    disk.complete()
    await kept
    const bytes = disk.segments.get(1) ?? Buffer.alloc(0)
    const head = hex(bytes.subarray(0, 32), [4, 2, 2, 6, 2, 4, 4, 4, 4])
    const check = crc32(bytes.subarray(24), crc32(bytes.subarray(0, 20), crc32('the-relay')))
    expect(bytes.readUInt32LE(20)).toBe(check)
    expect(head.replace(/ [0-9a-f]{8}(?= [0-9a-f]{8} [0-9a-f]{8}$)/, ' CHECK')).toBe(
      '896f726c 0100 0000 010000000000 0000 00000000 CHECK 10010000 3e000000',
    )
    expect(bytes.subarray(32, 62).equals(frameOf(7, 30))).toBe(true)
    const records = bytes.subarray(62)
    expect(
      hex(records, [
        ...[3, ...place, 11, ...place, 4, 2],
        ...[...place, 4, 2, 8, ...place, 4, 2, 2, 8, ...place, 2, 58],
      ]),
    ).toBe(
      [
        '010167', // name 0: g
        '02 01 0000 20000000 00000000 0000000000001440', // queued: groupIndex 1, order 5
        '0109612d73657373696f6e', // name 1: a-session
        '04 00 0000 20000000 00000000 0000000000001440 01000000 0100', // leased: attempt 1, session 1
        '0d 00 0000 20000000 00000000 0000000000001440 01000000 0100', // seen
        '0106672e64656164', // name 2: g.dead
        '06 00 0000 20000000 00000000 0000000000001440 01000080 0100 0200 0000000000002240', // buried: it was seen
        '0e 00 0200 20000000 00000000 0000000000002240 3a00', // died
        Buffer.from('{"reason":"lost","attempts":1,"endpoint":"e","diedAtMs":2}').toString('hex'),
      ].join(' '),
    )
  })

  it('speaks of frames by how many segments before they lie', async () => {
    const { store, disk } = await openLog()
    const first = store.keep(frameOf(1, 40), 0, 40)
    const second = store.keep(frameOf(2, 50), 0, 50)
    store.journal.queued(first, 'g', 0, 1, 2)
    store.commit()
    store.journal.dropped(first, 'g', 1, 1, 1)
    store.journal.queued(second, 'g', 0, 2, 1)
    store.commit()
    disk.complete()
    const records = disk.segments.get(2)?.subarray(32) ?? Buffer.alloc(0)
    expect(hex(records, [3, 1, 1, 2, 4, 4, 8, 4, 4, 1, 1, 2, 4, 4, 8])).toBe(
      [
        '010167',
        '08 00 0000 20000000 01000000 000000000000f03f 01000000 01000000',
        '02 00 0000 48000000 01000000 0000000000000040',
      ].join(' '),
    )
  })

  it('has records of the lengths that are drawn', () => {
    expect(Object.fromEntries(Object.entries(RecordType).map(([name, type]) => [name, recordBytes[type]]))).toEqual({
      NAME: 2,
      QUEUED: 20,
      QUEUED_COPIES: 24,
      LEASED: 26,
      RETURNED: 30,
      BURIED: 36,
      DIED: 22,
      SEEN: 26,
      ACKNOWLEDGED: 26,
      DROPPED: 28,
      LAST_CLEARED: 20,
      LAST_BROADCAST: 20,
      BODY: 28,
      MOVED: 12,
      PLACE: 30,
    })
  })
})
