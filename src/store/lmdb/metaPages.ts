import { createError } from '../../errors.ts'
import { storeVersion } from '../log/storeCorrupt.ts'
import { PAGE_HEADER_BYTES, type PageFile, PageKind, pageCorrupt, read64 } from './pageFile.ts'

/** A tree of pages, as a meta page describes it. */
export interface Tree {
  readonly flags: number
  readonly depth: number
  readonly branchPages: number
  readonly leafPages: number
  readonly overflowPages: number
  readonly entries: number
  /** `undefined`: the tree is empty. */
  readonly root: number | undefined
}

/** What the last transaction left behind. */
export interface Meta {
  readonly txnid: number
  /** The highest page that was ever used; the file may be shorter, if the last ones are free. */
  readonly lastPage: number
  readonly free: Tree
  readonly main: Tree
}

const MAGIC = 0xbeefc0de
/** The format of the data file that the package lmdb 3 writes. */
const DATA_VERSION = 2
const META_BYTES = 144
const FREE_AT = 24
const MAIN_AT = 72
/** Keys are integers. */
const FREE_FLAGS = 8
const DEPTH_MAX = 32
const NO_ROOT = 2 ** 64
/** So many pages a single transaction can have added and given up again, which then need not be in the file. */
const UNWRITTEN_PAGES_MAX = 131_072

/**
 * Reads the two meta pages, which transactions write in turn, and returns the later one. LMDB itself looks at the magic number of
 * the first one only, and believes the rest.
 *
 * ```
 *  0       4         8         16        24        72        120         128     136
 *  +-------+---------+---------+---------+---------+---------+-----------+-------+---------+
 *  | magic | version | address | mapsize | free    | main    | last page | txnid | boot id |
 *  | u32   | u32     | u64     | u64     | tree    | tree    | u64       | u64   | u64     |
 *  +-------+---------+---------+---------+---------+---------+-----------+-------+---------+
 *  a tree: pad u32 (of the free one: the bytes of a page), flags u16, depth u16, branch pages u64, leaf pages u64,
 *          overflow pages u64, entries u64, root u64
 * ```
 */
export function readLastMeta(file: PageFile): Meta {
  const first = file.read(0, PAGE_HEADER_BYTES, META_BYTES)
  if (first.readUInt32LE(0) !== MAGIC) throw notLmdb()
  checkVersion(first)
  file.pageBytes = first.readUInt32LE(FREE_AT)
  const metas = [0, 1].map((number) => readMeta(file, number))
  const [even, odd] = metas
  if (even === undefined || odd === undefined) throw pageCorrupt(0, 'is missing')
  const isFresh = even.txnid === 0 && odd.txnid === 0
  const areNeighbours = Math.abs(even.txnid - odd.txnid) === 1 && even.txnid % 2 === 0
  if (!isFresh && !areNeighbours) throw pageCorrupt(0, 'and page 1 are not of two transactions in a row')
  return even.txnid > odd.txnid ? even : odd
}

function readMeta(file: PageFile, number: number): Meta {
  const page = file.page(number, [PageKind.meta], Number.POSITIVE_INFINITY)
  const meta = page.subarray(PAGE_HEADER_BYTES, PAGE_HEADER_BYTES + META_BYTES)
  if (meta.readUInt32LE(0) !== MAGIC) throw pageCorrupt(number, 'is not a meta page')
  checkVersion(meta)
  if (meta.readUInt32LE(FREE_AT) !== file.pageBytes) throw pageCorrupt(number, 'has another size of pages than page 0')
  const lastPage = read64(meta, 120)
  if (lastPage < 1 || lastPage >= file.pages + UNWRITTEN_PAGES_MAX)
    throw pageCorrupt(number, `says that there are ${lastPage} pages; the file has ${file.pages}`)
  const free = readTree(meta, FREE_AT, number)
  const main = readTree(meta, MAIN_AT, number)
  if (free.flags !== FREE_FLAGS || main.flags !== 0) throw pageCorrupt(number, 'describes trees of another kind')
  const txnid = read64(meta, 128)
  if (txnid > Number.MAX_SAFE_INTEGER) throw pageCorrupt(number, 'is of a transaction that cannot be')
  return { txnid, lastPage, free, main }
}

function readTree(meta: Buffer, offset: number, page: number): Tree {
  const root = read64(meta, offset + 40)
  const tree: Tree = {
    flags: meta.readUInt16LE(offset + 4),
    depth: meta.readUInt16LE(offset + 6),
    branchPages: read64(meta, offset + 8),
    leafPages: read64(meta, offset + 16),
    overflowPages: read64(meta, offset + 24),
    entries: read64(meta, offset + 32),
    // The number for "none" has 64 bits set, and is rounded up.
    root: root === NO_ROOT ? undefined : root,
  }
  if (tree.depth > DEPTH_MAX || (tree.root === undefined) !== (tree.depth === 0))
    throw pageCorrupt(page, `describes a tree of the depth ${tree.depth}`)
  return tree
}

function checkVersion(meta: Buffer): void {
  const version = meta.readUInt32LE(4)
  if (version > DATA_VERSION) throw storeVersion('The data file', version, DATA_VERSION)
  if (version !== DATA_VERSION) throw notLmdb()
}

function notLmdb(): Error {
  const message =
    'The data file of the store is not one that the package lmdb wrote. Put a backup of the store in its place.'
  return createError('STORE_CORRUPT', message, { details: { where: 'data.mdb' } })
}
