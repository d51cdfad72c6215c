import { Deque } from '../../core/deque.ts'
import type { ReclaimedLease, ReleaseTerms } from '../../wire/controlFrames.ts'
import { readUint16, readUint32 } from '../../wire/integers.ts'
import { readAttempt } from '../../wire/objectHeader.ts'
import { LeaseAction } from '../records.ts'

/** A lease that the endpoint keeps for long keeps its block: some 1.5 KB. */
const BLOCK_LEASES = 64
const SPARE_BLOCKS_MAX = 64
/** Words of an entry: source; low word of the sequence; its high half, groupIndex and attempt; state and flags. */
const ENTRY_WORDS = 4
const STATE_AT = 3
const STATES = 3
const counted: ReleaseTerms = { attemptCounted: true }

const OPEN = 0
const ACKNOWLEDGED = 1
const RELEASED_COUNTED = 2
/** Settled for good, or not this endpoint's to claim: the relay gives it back by itself. */
const GONE = 3

const IS_DEAD = 4
const IS_CLAIMED = 8

/** The state that a {@link LeaseAction} brings about, by its number. What is let go of without an attempt counted need not be claimed for that. */
const stateAfter: readonly number[] = [ACKNOWLEDGED, GONE, RELEASED_COUNTED, GONE, RELEASED_COUNTED]

/** A lease in its session: what the object is known by, and the number that the session gave it. */
export interface LoggedLease extends Omit<ReclaimedLease, 'leaseNumber'> {
  readonly number: number
}

/** One that was settled, and how. */
export interface SettledLease extends LoggedLease {
  readonly action: number
  /** Of a release. */
  readonly terms: ReleaseTerms | undefined
}

interface Block {
  readonly first: number
  readonly words: Uint32Array
  /** By entry: which frame of the channel settles it; that it is not sent yet is infinity. */
  readonly frames: Float64Array
  count: number
  /** Entries that nothing settles yet, neither here nor on its way. */
  pending: number
  lastFrame: number
  /** By number: how leases were given back whose attempt counts. */
  terms: Map<number, ReleaseTerms> | undefined
}

/**
 * The leases that one session gave, from the delivery until it is certain that the relay knows what became of them: what
 * the endpoint needs to claim them after a restart of the relay. They are numbered by their order, as everywhere.
 */
export class LeaseLog {
  /** Leases that were given. */
  count = 0
  readonly #blocks = new Map<number, Block>()
  #last: Block | undefined
  /** Blocks whose entries are all settled, by the last frame that does so. */
  readonly #closing = new Deque<Block>()
  #spare: Block[] = []
  #isOver = false

  /** Whether nothing is left that could be claimed. */
  get isEmpty(): boolean {
    return this.#blocks.size === 0
  }

  /** The next produced object: its frame begins at `start`. */
  add(frame: Buffer, start: number, groupIndex: number, isDead: boolean): void {
    let block = this.#last
    if (block === undefined || block.count === BLOCK_LEASES) block = this.#addBlock()
    const { words } = block
    const at = block.count * ENTRY_WORDS
    words[at] = readUint32(frame, start + 8)
    words[at + 1] = readUint32(frame, start + 12)
    words[at + 2] = readUint16(frame, start + 16) | (groupIndex << 16) | (readAttempt(frame, start) << 24)
    words[at + STATE_AT] = isDead ? OPEN | IS_DEAD : OPEN
    block.count++
    block.pending++
    this.count++
  }

  /** `action` was done to some leases; the frame number `frame` of the channel tells the relay. */
  settle(action: number, from: number, to: number, frame: number, terms?: ReleaseTerms): void {
    const state = stateAfter[action] ?? GONE
    for (let number = from; number <= to; ) {
      const block = this.#blockOf(number)
      const end = Math.min(to + 1, blockNumber(number) + BLOCK_LEASES)
      if (block !== undefined) {
        const last = Math.min(end - block.first, block.count)
        const settled = settleEntries(block, number - block.first, last, state, state === GONE ? 0 : frame)
        if (settled > 0 && terms?.attemptCounted === true) keepTerms(block, number, block.first + last, terms)
        if (settled > 0) this.#settled(block, settled, state === GONE ? 0 : frame)
      }
      number = end
    }
  }

  #settled(block: Block, count: number, frame: number): void {
    if (frame > block.lastFrame) block.lastFrame = frame
    block.pending -= count
    if (block.pending === 0 && (this.#isOver || block.count === BLOCK_LEASES)) this.#closing.push(block)
  }

  /** The relay has received so many frames of the channel: what they settle is settled for good. */
  confirmed(frames: number): void {
    for (let block = this.#closing.first(); block !== undefined; block = this.#closing.first()) {
      if (block.lastFrame > frames) return
      this.#closing.shift()
      this.#remove(block)
    }
  }

  /**
   * The session is over, or the one in which its leases were claimed: what follows belongs to another channel. So many
   * frames of that one had their effect, and no others.
   */
  restart(receivedFrames: number): void {
    this.#isOver = true
    this.#last = undefined
    this.#spare = []
    while (this.#closing.shift() !== undefined);
    for (const block of this.#blocks.values()) {
      block.pending = 0
      block.lastFrame = 0
      for (let index = 0; index < block.count; index++) restartEntry(block, index, receivedFrames)
      if (block.pending === 0) this.#blocks.delete(block.first)
    }
  }

  /** Of these leases, those that nobody has settled and that are not claimed yet in this session; they are from now on. */
  claim(from: number, to: number): LoggedLease[] {
    const entries: LoggedLease[] = []
    for (const [block, index] of this.#entries(from, to)) {
      const at = index * ENTRY_WORDS + STATE_AT
      const word = block.words[at] ?? 0
      if ((word & STATES) !== OPEN || (word & IS_CLAIMED) !== 0) continue
      block.words[at] = word | IS_CLAIMED
      entries.push(entryOf(block, index))
    }
    return entries
  }

  /** What was settled in an earlier channel, without effect. */
  unreported(): SettledLease[] {
    const entries: SettledLease[] = []
    for (const [block, index] of this.#entries(0, this.count - 1)) {
      const state = (block.words[index * ENTRY_WORDS + STATE_AT] ?? 0) & STATES
      if (block.frames[index] !== Number.POSITIVE_INFINITY || state === OPEN) continue
      const action = state === ACKNOWLEDGED ? LeaseAction.ACKNOWLEDGE : LeaseAction.RELEASE_COUNTED
      const terms = state === ACKNOWLEDGED ? undefined : (block.terms?.get(block.first + index) ?? counted)
      entries.push({ ...entryOf(block, index), action, terms })
    }
    return entries
  }

  /** The frame number `frame` of the channel tells the relay what became of an entry that was {@link unreported}. */
  reported(number: number, frame: number): void {
    const block = this.#blockOf(number)
    if (block === undefined) return
    block.frames[number - block.first] = frame
    this.#settled(block, 1, frame)
  }

  *#entries(from: number, to: number): Generator<readonly [Block, number]> {
    for (const block of this.#blocksOf(from, to)) {
      const last = Math.min(block.count - 1, to - block.first)
      for (let index = Math.max(0, from - block.first); index <= last; index++) yield [block, index]
    }
  }

  #blocksOf(from: number, to: number): Block[] {
    // There may be few blocks left of very many, or one wanted of many.
    if ((to - from) / BLOCK_LEASES > this.#blocks.size)
      return [...this.#blocks.values()].filter(({ first }) => first <= to && first + BLOCK_LEASES > from)
    const blocks: Block[] = []
    for (let first = blockNumber(from); first <= to; first += BLOCK_LEASES) {
      const block = this.#blocks.get(first)
      if (block !== undefined) blocks.push(block)
    }
    return blocks
  }

  #blockOf(number: number): Block | undefined {
    const first = blockNumber(number)
    const last = this.#last
    return last?.first === first ? last : this.#blocks.get(first)
  }

  #addBlock(): Block {
    const spare = this.#spare.pop()
    const block: Block = {
      first: this.count,
      words: spare?.words ?? new Uint32Array(BLOCK_LEASES * ENTRY_WORDS),
      frames: spare?.frames ?? new Float64Array(BLOCK_LEASES),
      count: 0,
      pending: 0,
      lastFrame: 0,
      terms: undefined,
    }
    this.#blocks.set(block.first, block)
    this.#last = block
    return block
  }

  #remove(block: Block): void {
    this.#blocks.delete(block.first)
    if (!this.#isOver && this.#spare.length < SPARE_BLOCKS_MAX) this.#spare.push(block)
  }
}

function blockNumber(leaseNumber: number): number {
  return leaseNumber - (leaseNumber % BLOCK_LEASES)
}

/** Settles those of some entries that are not settled yet: settled once, it stays so. Returns how many. */
function settleEntries({ words, frames }: Block, from: number, end: number, state: number, frame: number): number {
  let settled = 0
  for (let index = from; index < end; index++) {
    const at = index * ENTRY_WORDS + STATE_AT
    const word = words[at] ?? 0
    if ((word & STATES) !== OPEN) continue
    words[at] = word | state
    frames[index] = frame
    settled++
  }
  return settled
}

/** Kept as long as the block: few releases count. */
function keepTerms(block: Block, from: number, end: number, terms: ReleaseTerms): void {
  block.terms ??= new Map()
  for (let number = from; number < end; number++) if (!block.terms.has(number)) block.terms.set(number, terms)
}

/** What was settled with effect is gone; what was without is to be told once more. */
function restartEntry(block: Block, index: number, receivedFrames: number): void {
  const at = index * ENTRY_WORDS + STATE_AT
  const word = block.words[at] ?? 0
  const state = word & STATES
  if (state === GONE) return
  if (state !== OPEN && (block.frames[index] ?? 0) <= receivedFrames) {
    block.words[at] = word | GONE
    return
  }
  block.words[at] = word & ~IS_CLAIMED
  block.frames[index] = Number.POSITIVE_INFINITY
  block.pending++
}

function entryOf(block: Block, index: number): LoggedLease {
  const [source = 0, low = 0, rest = 0, flags = 0] = block.words.subarray(index * ENTRY_WORDS)
  return {
    number: block.first + index,
    source,
    sequence: low + (rest & 0xffff) * 0x1_0000_0000,
    groupIndex: (rest >>> 16) & 0xff,
    attempt: rest >>> 24,
    isDead: (flags & IS_DEAD) !== 0,
  }
}
