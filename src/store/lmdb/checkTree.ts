import type { Meta, Tree } from './metaPages.ts'
import { PAGE_HEADER_BYTES, type PageFile, PageKind, pageCorrupt, read64 } from './pageFile.ts'
import type { PageMap } from './pageMap.ts'

/** An entry of a tree; its value, if it is not in its leaf, was not read. */
export interface Entry {
  readonly key: Buffer
  readonly valueBytes: number
  /** The value as it lies in the leaf; or the first page of the run that holds it. */
  readonly value: Buffer | number
}

/** What is done with each entry, in the order of the keys. */
type Visit = (entry: Entry, leaf: number) => void

const NODE_HEADER_BYTES = 8
const RUN_BYTES = 24
const IS_IN_RUN = 1

/** Walks one tree, and leaves nothing in it unchecked that LMDB would follow. Memory: one page for each level. */
export class TreeCheck {
  readonly #file: PageFile
  readonly #meta: Meta
  readonly #tree: Tree
  readonly #taken: PageMap
  readonly #compare: (left: Buffer, right: Buffer) => number
  readonly #visit: Visit
  readonly #counts = { branchPages: 0, leafPages: 0, overflowPages: 0, entries: 0 }
  #previousKey: Buffer | undefined
  /** What the branch that led here says that no key is below. */
  #floor: Buffer | undefined

  constructor(
    { file, meta, taken }: { file: PageFile; meta: Meta; taken: PageMap },
    tree: Tree,
    compare: (left: Buffer, right: Buffer) => number,
    visit: Visit,
  ) {
    this.#file = file
    this.#meta = meta
    this.#taken = taken
    this.#tree = tree
    this.#compare = compare
    this.#visit = visit
  }

  run(): void {
    const { root, depth } = this.#tree
    if (root !== undefined) this.#page(root, depth, 'a meta page')
    const { branchPages, leafPages, overflowPages, entries } = this.#counts
    const { branchPages: branches, leafPages: leaves, overflowPages: overflows, entries: all } = this.#tree
    if (branchPages !== branches || leafPages !== leaves || overflowPages !== overflows || entries !== all)
      throw pageCorrupt(root ?? 0, 'is the root of a tree that has other pages than its meta page says')
  }

  #page(number: number, levels: number, by: string): void {
    this.#take(number, 1, by)
    const isLeaf = levels === 1
    const page = this.#file.page(number, [isLeaf ? PageKind.leaf : PageKind.branch], this.#meta.txnid)
    const lower = page.readUInt16LE(20)
    const upper = page.readUInt16LE(22)
    const roomBytes = this.#file.pageBytes - PAGE_HEADER_BYTES
    if (lower % 2 !== 0 || lower > upper || upper > roomBytes || lower < (isLeaf ? 2 : 4))
      throw pageCorrupt(number, 'has bounds that cannot be')
    this.#counts[isLeaf ? 'leafPages' : 'branchPages'] += 1
    let nodeBytes = 0
    for (let index = 0; index < lower >> 1; index++) {
      const offset = page.readUInt16LE(PAGE_HEADER_BYTES + index * 2)
      if (offset < upper || offset % 2 !== 0 || offset > roomBytes - NODE_HEADER_BYTES)
        throw pageCorrupt(number, `has entry ${index} where none can be`)
      const node = page.subarray(PAGE_HEADER_BYTES + offset)
      nodeBytes += isLeaf ? this.#leafNode(node, number) : this.#branchNode(node, { number, index, levels })
    }
    if (nodeBytes !== roomBytes - upper) throw pageCorrupt(number, 'has entries that do not fill it')
  }

  /** Keys that a node of a branch leads to are not below its own; the first node has none. */
  #branchNode(node: Buffer, { number, index, levels }: { number: number; index: number; levels: number }): number {
    const key = keyOf(node, number)
    if (index > 0) this.#floor = Buffer.from(key)
    const child = node.readUInt32LE(0) + node.readUInt16LE(4) * 2 ** 32
    this.#page(child, levels - 1, `page ${number}`)
    return even(NODE_HEADER_BYTES + key.length)
  }

  #leafNode(node: Buffer, number: number): number {
    const key = keyOf(node, number)
    const isBehind = this.#previousKey === undefined || this.#compare(this.#previousKey, key) < 0
    const isAbove = this.#floor === undefined || this.#compare(this.#floor, key) <= 0
    if (!isBehind || !isAbove) throw pageCorrupt(number, 'has keys that are not in order')
    this.#floor = undefined
    // The page's memory would live as long as the key.
    this.#previousKey = Buffer.from(key)
    const flags = node.readUInt16LE(4)
    if (flags > IS_IN_RUN) throw pageCorrupt(number, 'has an entry of another kind')
    const valueBytes = node.readUInt32LE(0)
    const value = node.subarray(NODE_HEADER_BYTES + key.length)
    const heldBytes = flags === IS_IN_RUN ? RUN_BYTES : valueBytes
    if (heldBytes > value.length) throw pageCorrupt(number, 'has an entry that is longer than the page')
    this.#counts.entries += 1
    const isInRun = flags === IS_IN_RUN
    const held = isInRun ? this.#run(value, valueBytes, number) : value.subarray(0, valueBytes)
    this.#visit({ key, valueBytes, value: held }, number)
    return even(NODE_HEADER_BYTES + key.length + heldBytes)
  }

  /** The run of pages that holds a large value; of it only the header is read. */
  #run(where: Buffer, valueBytes: number, leaf: number): number {
    const first = read64(where, 0)
    const pages = read64(where, 16)
    if (pages * this.#file.pageBytes < valueBytes + PAGE_HEADER_BYTES || read64(where, 8) > this.#meta.txnid)
      throw pageCorrupt(leaf, 'names a run of pages that cannot be')
    this.#take(first, pages, `page ${leaf}`)
    const header = this.#file.header(first, PageKind.overflow, this.#meta.txnid)
    if (header.readUInt32LE(20) !== pages) throw pageCorrupt(first, `is not a run of ${pages} pages`)
    this.#counts.overflowPages += pages
    return first
  }

  #take(first: number, count: number, by: string): void {
    this.#taken.take(first, count, by)
    if (first + count > this.#file.pages) throw pageCorrupt(first + count - 1, 'is not there: the file was cut off')
  }
}

function keyOf(node: Buffer, page: number): Buffer {
  const bytes = node.readUInt16LE(6)
  if (NODE_HEADER_BYTES + bytes > node.length) throw pageCorrupt(page, 'has a key that is longer than the page')
  return node.subarray(NODE_HEADER_BYTES, NODE_HEADER_BYTES + bytes)
}

function even(bytes: number): number {
  return bytes + (bytes & 1)
}
