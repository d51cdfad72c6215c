import { LeaseAction } from '../background/records.ts'
import { Deque } from '../core/deque.ts'
import type { ReclaimedLease } from '../wire/controlFrames.ts'
import { readUint16, readUint32 } from '../wire/integers.ts'
import { readAttempt } from '../wire/objectHeader.ts'

/** A lease that the endpoint keeps for long keeps its block: some 1.5 KB. */
const BLOCK_LEASES = 64
const SPARE_BLOCKS_MAX = 64
/** Words of an entry: source; low word of the sequence; its high half, groupIndex and attempt; state and flags. */
const ENTRY_WORDS = 4
const STATE_AT = 3
const STATES = 3

const OPEN = 0
const ACKNOWLEDGED = 1
const RELEASED_COUNTED = 2
/** Let go of without an attempt counted: the relay does that by itself at the end of the claims. */
const RELEASED = 3

const IS_DEAD = 4
const IS_CLAIMED = 8

/** The state that a {@link LeaseAction} brings about, by its number, and the other way round. */
const stateAfter: readonly number[] = [ACKNOWLEDGED, RELEASED, RELEASED_COUNTED, RELEASED]
const actionBefore: readonly number[] = [
  LeaseAction.DROP,
  LeaseAction.ACKNOWLEDGE,
  LeaseAction.RELEASE_COUNTED,
  LeaseAction.RELEASE,
]

/** Instead of the number of a frame: the relay has settled the lease itself. */
export const SETTLED_BY_RELAY = 0
/** Instead of the number of a frame: none tells the relay yet, the end of the claims will. */
export const NOT_TOLD: number = Number.POSITIVE_INFINITY

/** A lease in its session: what the object is known by, and the number that the session gave it. */
export interface LedgerEntry extends Omit<ReclaimedLease, 'leaseNumber'> {
  readonly number: number
}

/** One that was settled, how, and by which frame, counted over all conversations. */
export interface SettledEntry extends LedgerEntry {
  readonly action: number
  readonly frame: number
}

interface Block {
  readonly first: number
  readonly words: Uint32Array
  /** By entry that is settled: by which frame. */
  readonly frames: Float64Array
  count: number
  /** Entries that no frame of this conversation settles yet, and none of an earlier one for certain. */
  pending: number
  lastFrame: number
}

/**
 * The leases that one session gave, from the delivery until it is certain that the relay knows what became of them: what
 * the endpoint needs to claim them after a restart of the relay. They are numbered by their order, as everywhere. Frames are
 * told and asked for by their numbers in the present conversation.
 */
export class LeaseLedger {
  /** Leases that were given. */
  count = 0
  readonly #blocks = new Map<number, Block>()
  #last: Block | undefined
  /** Blocks whose entries are all settled, by the last frame that does so. */
  readonly #closing = new Deque<Block>()
  #spare: Block[] = []
  #isOver = false
  /** Frames of earlier conversations, and those of them that had been confirmed when the last one was over. */
  #framesBefore: number
  #confirmedBefore = 0

  /** `framesBefore` were sent in the conversations before the present one. */
  constructor(framesBefore = 0) {
    this.#framesBefore = framesBefore
  }

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

  /** `action` was done to some leases; the frame number `frame` of the conversation tells the relay. What is settled stays so. */
  settle(action: number, from: number, to: number, frame: number): void {
    const state = stateAfter[action] ?? RELEASED
    const total = this.#framesBefore + frame
    for (let number = from; number <= to; ) {
      const block = this.#blockOf(number)
      const end = Math.min(to + 1, blockNumber(number) + BLOCK_LEASES)
      if (block !== undefined) {
        const last = Math.min(end - block.first, block.count)
        const settled = settleEntries(block, number - block.first, last, state, total)
        if (settled > 0 && frame !== NOT_TOLD) this.#settled(block, settled, total)
      }
      number = end
    }
  }

  #settled(block: Block, count: number, frame: number): void {
    if (frame > block.lastFrame) block.lastFrame = frame
    block.pending -= count
    if (block.pending === 0 && (this.#isOver || block.count === BLOCK_LEASES)) this.#closing.push(block)
  }

  /** The relay has received so many frames of the conversation: what they settle is settled for good. */
  confirmed(frames: number): void {
    const total = this.#framesBefore + frames
    for (let block = this.#closing.first(); block !== undefined; block = this.#closing.first()) {
      if (block.lastFrame > total) return
      this.#closing.shift()
      this.#remove(block)
    }
  }

  /**
   * The session is over, or the one in which its leases were claimed. Of the `sentFrames` of that conversation, the relay had
   * `confirmedFrames` for certain; what follows belongs to another one.
   */
  restart(confirmedFrames: number, sentFrames: number): void {
    this.#isOver = true
    this.#last = undefined
    this.#spare = []
    this.#confirmedBefore = this.#framesBefore + confirmedFrames
    this.#framesBefore += sentFrames
    while (this.#closing.shift() !== undefined);
    for (const block of this.#blocks.values()) {
      block.pending = 0
      block.lastFrame = 0
      for (let index = 0; index < block.count; index++) {
        if (!isOpen(block, index) && (block.frames[index] ?? 0) <= this.#confirmedBefore) continue
        setFlag(block, index, IS_CLAIMED, false)
        block.pending++
      }
      if (block.pending === 0) this.#blocks.delete(block.first)
    }
  }

  /** Of these leases, those that nobody has settled and that are not claimed yet in this session; they are from now on. */
  claim(from: number, to: number): LedgerEntry[] {
    const entries: LedgerEntry[] = []
    for (const [block, index] of this.#entries(from, to)) {
      if (!isOpen(block, index) || hasFlag(block, index, IS_CLAIMED)) continue
      setFlag(block, index, IS_CLAIMED, true)
      entries.push(entryOf(block, index))
    }
    return entries
  }

  /** What was settled, and the relay has not been told in this conversation, nor in an earlier one for certain. */
  *untold(): Generator<SettledEntry> {
    for (const [block, index] of this.#entries(0, this.count - 1)) {
      if (!this.#isUntold(block, index)) continue
      const action = actionBefore[stateOf(block, index)] ?? LeaseAction.DROP
      yield { ...entryOf(block, index), action, frame: block.frames[index] ?? 0 }
    }
  }

  /** The frame number `frame` of the conversation tells the relay what became of an entry that was {@link untold}. */
  told(number: number, frame: number): void {
    const block = this.#blockOf(number)
    if (block !== undefined) this.#tell(block, number - block.first, frame)
  }

  /** The frame number `frame` of the conversation ends the claims: it tells the relay of all that is {@link untold}. */
  toldAll(frame: number): void {
    for (const [block, index] of this.#entries(0, this.count - 1)) {
      if (this.#isUntold(block, index)) this.#tell(block, index, frame)
    }
  }

  #isUntold(block: Block, index: number): boolean {
    const frame = block.frames[index] ?? 0
    if (isOpen(block, index) || frame <= this.#confirmedBefore) return false
    return frame <= this.#framesBefore || frame === NOT_TOLD
  }

  #tell(block: Block, index: number, frame: number): void {
    const total = this.#framesBefore + frame
    block.frames[index] = total
    this.#settled(block, 1, total)
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

function stateOf({ words }: Block, index: number): number {
  return (words[index * ENTRY_WORDS + STATE_AT] ?? 0) & STATES
}

function isOpen(block: Block, index: number): boolean {
  return stateOf(block, index) === OPEN
}

function hasFlag({ words }: Block, index: number, flag: number): boolean {
  return ((words[index * ENTRY_WORDS + STATE_AT] ?? 0) & flag) !== 0
}

function setFlag({ words }: Block, index: number, flag: number, isSet: boolean): void {
  const at = index * ENTRY_WORDS + STATE_AT
  const word = words[at] ?? 0
  words[at] = isSet ? word | flag : word & ~flag
}

function entryOf(block: Block, index: number): LedgerEntry {
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
