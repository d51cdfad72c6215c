import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ObjectRelayError } from '../../errors.ts'
import type { LogChange } from '../log/logDisk.ts'
import type { Durability } from './durability.ts'
import { LmdbDisk } from './lmdbDisk.ts'

let dir: string
let disks: LmdbDisk[]
let reports: ObjectRelayError[]

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lmdb-disk-'))
  disks = []
  reports = []
})

afterEach(async () => {
  for (const disk of disks) await disk.close()
  rmSync(dir, { recursive: true, force: true })
})

async function openDisk({ durability = 'synced' as Durability, bytesMax = undefined as number | undefined } = {}) {
  const host = { report: (error: ObjectRelayError) => reports.push(error) }
  const disk = await LmdbDisk.open(open, { dir: join(dir, 'store'), durability, bytesMax }, host)
  disks.push(disk)
  return disk
}

function change(parts: Partial<LogChange>): LogChange {
  return { segments: [], dropBefore: 0, values: new Map(), ...parts }
}

const bytesOf = (number: number, bytes: number) => ({ number, bytes: Buffer.alloc(bytes, number) })

describe.each<Durability>(['synced', 'written'])('LmdbDisk, %s', (durability) => {
  it('has what was committed, and nothing else, when it is opened again', async () => {
    const disk = await openDisk({ durability })
    expect(disk.segmentNumbers()).toEqual([])
    expect([...disk.values()]).toEqual([])
    const values = new Map([
      ['relay', Buffer.from('one')],
      ['sessions/ä', Buffer.from('two')],
    ])
    await disk.commit(change({ segments: [bytesOf(1, 10), bytesOf(2, 262_144)], values }))
    await disk.commit(change({ segments: [bytesOf(3, 5_000)], dropBefore: 2, values: new Map([['relay', undefined]]) }))
    await disk.close()
    const again = await openDisk({ durability })
    expect(again.segmentNumbers()).toEqual([2, 3])
    expect(again.readSegment(2)).toEqual(Buffer.alloc(262_144, 2))
    expect(again.readSegment(3)).toEqual(Buffer.alloc(5_000, 3))
    expect([...again.values()]).toEqual([['sessions/ä', Buffer.from('two')]])
    expect(() => again.readSegment(1)).toThrow(expect.objectContaining({ code: 'STORE_CORRUPT' }))
  })
})

describe('LmdbDisk', () => {
  it('resolves commits in the order of the calls, many in one transaction', async () => {
    const disk = await openDisk()
    const order: number[] = []
    const commits = Array.from({ length: 50 }, (_, index) =>
      disk.commit(change({ segments: [bytesOf(index + 1, 100)] })).then(() => order.push(index)),
    )
    await Promise.all(commits)
    expect(order).toEqual(Array.from({ length: 50 }, (_, index) => index))
    expect(disk.segmentNumbers()).toHaveLength(50)
  })

  it('is refused while another has the folder', async () => {
    await openDisk()
    await expect(openDisk()).rejects.toMatchObject({ code: 'STORE_IN_USE' })
  })

  it("commits nothing any more once the store is another one's", async () => {
    const disk = await openDisk()
    await disk.commit(change({ segments: [bytesOf(1, 100)] }))
    const intruder = open<Buffer, Buffer>({
      path: join(dir, 'store'),
      noSubdir: false,
      encoding: 'binary',
      keyEncoding: 'binary',
    })
    const owner = Buffer.alloc(8)
    owner.writeDoubleLE(4711)
    await intruder.put(Buffer.from([3]), owner)
    await expect(disk.commit(change({ segments: [bytesOf(2, 100)] }))).rejects.toMatchObject({ code: 'STORE_IN_USE' })
    await expect(disk.commit(change({ segments: [bytesOf(3, 100)] }))).rejects.toMatchObject({ code: 'STORE_IN_USE' })
    expect(disk.segmentNumbers()).toEqual([1])
    await intruder.close()
  })

  it('says what is too much for bytesMax before it is kept, once for all, and takes it when there is room again', async () => {
    const disk = await openDisk({ bytesMax: 4_194_304 })
    expect(disk.refusal(1_000_000)).toBeUndefined()
    for (let number = 1; number <= 13; number++) await disk.commit(change({ segments: [bytesOf(number, 262_144)] }))
    expect(disk.refusal(1_000_000)).toMatchObject({ code: 'STORE_FULL' })
    expect(disk.refusal(1_000_000)).toMatchObject({ code: 'STORE_FULL' })
    expect(reports).toHaveLength(1)
    // What empties it is still kept.
    await disk.commit(change({ segments: [bytesOf(14, 1_000)], dropBefore: 14 }))
    expect(disk.refusal(1_000_000)).toBeUndefined()
  })
})
