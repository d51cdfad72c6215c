import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decodeEntry, encodeInEntry, encodePlace, type SegmentPlace } from './segmentEntry.ts'
import { SegmentFiles } from './segmentFiles.ts'

let folder: string
let all: SegmentFiles[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'segments-'))
  all = []
})
afterEach(async () => {
  for (const files of all) await files.close()
  rmSync(folder, { recursive: true, force: true })
})

function opened(owner = 7): SegmentFiles {
  const files = new SegmentFiles({ folder, owner, isSynced: true, fileBytesMax: 1_000 })
  all.push(files)
  return files
}

const segment = (number: number, bytes = 400) => ({ number, bytes: Buffer.alloc(bytes, number) })

/** Appends each segment by itself. */
async function append(files: SegmentFiles, numbers: readonly number[]): Promise<Map<number, SegmentPlace>> {
  const places = new Map<number, SegmentPlace>()
  for (const number of numbers) {
    const [place] = await files.append([segment(number)])
    if (place !== undefined) places.set(number, place)
  }
  return places
}

describe('SegmentFiles', () => {
  it('begins another file when one is full, and reads from all of them', async () => {
    const files = opened()
    const places = await append(files, [1, 2, 3, 4, 5])
    expect(readdirSync(folder).sort()).toEqual(['1-7.log', '4-7.log'])
    expect(files.bytes).toBe(2_000)
    for (const [number, place] of places) expect(files.read(place, number)).toEqual(Buffer.alloc(400, number))
  })

  it('deletes a file when nothing in it is needed, but not the one that is written to', async () => {
    const files = opened()
    await append(files, [1, 2, 3, 4, 5, 6, 7])
    files.dropBefore(3)
    expect(files.bytes).toBe(2_800)
    files.dropBefore(4)
    files.dropBefore(8)
    expect(files.bytes).toBe(400)
    await files.close()
    expect(readdirSync(folder)).toEqual(['7-7.log'])
  })

  it('takes over what is known, deletes what is not, and continues no file of another', async () => {
    const places = await append(opened(), [1, 2, 3, 4, 5])
    const files = opened(8)
    writeFileSync(join(folder, '9-7.log'), 'left behind')
    await files.adopt([...places].slice(3))
    expect(readdirSync(folder)).toEqual(['4-7.log'])
    await append(files, [6])
    expect(readdirSync(folder).sort()).toEqual(['4-7.log', '6-8.log'])
    files.dropBefore(6)
    await files.close()
    expect(readdirSync(folder)).toEqual(['6-8.log'])
  })

  it('says which segment is lost when its file is missing or cut off', async () => {
    const places = await append(opened(), [1, 2, 3, 4])
    truncateSync(join(folder, '1-7.log'), 1_199)
    await expect(opened(8).adopt(places)).rejects.toMatchObject({
      code: 'STORE_CORRUPT',
      message: expect.stringContaining('Segment 3'),
    })
    rmSync(join(folder, '1-7.log'))
    await expect(opened(9).adopt(places)).rejects.toMatchObject({
      code: 'STORE_CORRUPT',
      message: expect.stringContaining('Segment 1'),
    })
  })
})

describe('the entry of a segment', () => {
  it('holds the segment, or its place', () => {
    expect(decodeEntry(encodeInEntry(Buffer.from('abc')), 1)).toEqual(Buffer.from('abc'))
    const place = { file: `${2 ** 47}-${2 ** 48 - 2}.log`, offset: 2 ** 31, bytes: 262_144 }
    expect(decodeEntry(encodePlace(place), 1)).toEqual(place)
  })

  it.each([
    Buffer.alloc(0),
    Buffer.of(2),
    Buffer.alloc(20, 1),
    encodePlace({ file: '1-1.log', offset: 0, bytes: 300_000 }),
  ])('is refused if it is none: %j', (entry) => {
    expect(() => decodeEntry(entry, 1)).toThrow(expect.objectContaining({ code: 'STORE_CORRUPT' }))
  })
})
