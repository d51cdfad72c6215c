import { closeSync, fstatSync, openSync } from 'node:fs'
import { storeCorrupt } from '../log/storeCorrupt.ts'
import { type Entry, TreeCheck } from './checkTree.ts'
import { isMissing } from './folderErrors.ts'
import { readLastMeta } from './metaPages.ts'
import { PAGE_HEADER_BYTES, PageFile, pageCorrupt, read64 } from './pageFile.ts'
import { PageMap } from './pageMap.ts'

const FREE_KEY_BYTES = 8

/**
 * Checks a data file that nobody has open, before LMDB maps it into memory and follows whatever it finds: every page that it would
 * follow is where it should be, is what it should be, and is only one thing; and no page that is in use is said to be free. The
 * bytes of large values are not read: the segments of the log have checks of their own. Memory: a bit for each page. Throws
 * `STORE_CORRUPT` or `STORE_VERSION`, or what the operating system says.
 */
export function checkDataFile(path: string): void {
  const descriptor = openFile(path)
  try {
    const file = new PageFile(descriptor, fstatSync(descriptor).size)
    const meta = readLastMeta(file)
    const taken = new PageMap(meta.lastPage)
    const parts = { file, meta, taken }
    new TreeCheck(parts, meta.main, Buffer.compare, () => undefined).run()
    const lists: Entry[] = []
    // Checked after the trees are known: a list may name a page that comes later in them.
    new TreeCheck(parts, meta.free, compareIntegers, (entry, leaf) => lists.push(checkedList(entry, leaf))).run()
    for (const list of lists) checkFreeList(list, parts)
  } finally {
    closeSync(descriptor)
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (thrown) {
    if (isMissing(thrown)) throw storeCorrupt('The data file', 'is missing')
    throw thrown
  }
}

function compareIntegers(left: Buffer, right: Buffer): number {
  return left.length === FREE_KEY_BYTES && right.length === FREE_KEY_BYTES ? read64(left, 0) - read64(right, 0) : 0
}

function checkedList({ key, valueBytes, value }: Entry, leaf: number): Entry {
  if (key.length !== FREE_KEY_BYTES || valueBytes % 8 !== 0 || valueBytes < 8)
    throw pageCorrupt(leaf, 'has a list of free pages that cannot be')
  // A leaf is one page; it is not to be kept in memory for each list in it.
  return { key: Buffer.from(key), valueBytes, value: typeof value === 'number' ? value : Buffer.from(value) }
}

/**
 * A list is its length and so many numbers: a page, or, negative, how many pages begin at the one that comes next, or zero, which
 * is nothing.
 */
function checkFreeList(
  { key, valueBytes, value }: Entry,
  { file, taken }: { readonly file: PageFile; readonly taken: PageMap },
): void {
  const by = `the list ${read64(key, 0)} of free pages`
  const list =
    typeof value === 'number' ? file.read(value, value * file.pageBytes + PAGE_HEADER_BYTES, valueBytes) : value
  const length = read64(list, 0)
  if (length > valueBytes / 8 - 1) throw pageCorrupt(0, `leads to ${by}, which is longer than it can be`)
  let count = 1
  for (let index = 1; index <= length; index++) {
    const entry = list.readBigInt64LE(index * 8)
    if (entry < 0n) count = Number(-entry)
    else {
      if (entry > 0n) taken.take(Number(entry), count, by)
      count = 1
    }
  }
}
