import type { BrokerJournal, KeptPlace } from '../core/journal.ts'
import type { GroupSetting, Packing } from '../core/ports.ts'
import type { ObjectRelayError } from '../errors.ts'
import type { SlabPool } from '../wire/slabPool.ts'

/**
 * An OBJECT frame that a store keeps, as it came, with the relay's stamps in it; or several that lie one behind the other. The store
 * may move them while they are kept.
 */
export interface KeptFrame {
  readonly bytes: number
  /** How many frames. */
  readonly objects: number
  /** Each frame of a run alone, if they do not lie one behind the other any more; else `undefined`. */
  apart(): readonly KeptFrame[] | undefined
  /** Where it lies in memory; `undefined`: it is only on a disk now. */
  find(): LoadedFrame | undefined
  /** Begins to read it from the disk. */
  load(): ColdFrame
}

/** A kept frame that is being read from a disk. */
export interface ColdFrame {
  /**
   * Resolves to the memory that it lies in, which stays at least until what waits for the promise has run. Frames that are read together
   * have the same promise. Rejects if they cannot be read.
   */
  readonly reading: Promise<Buffer>
  readonly start: number
  readonly end: number
}

/** A kept frame, or several that lie one behind the other, in memory that does not change. */
export interface LoadedFrame {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

/** Who sent an object: the number of the session, and the object's sequence there. */
export interface Sender {
  readonly source: number
  readonly sequence: number
}

/** What a store keeps. */
export type StoredObject = KeptFrame | LargeBody

/**
 * A large object in a store: its head, and its body as far as it has come. More may be on its way, and it may be read at the
 * same time. No more of the body is in memory than what has just come and what is just being read.
 */
export interface LargeBody {
  /** The size of the whole body. */
  readonly bytes: number
  /** One: it is never part of a run. */
  readonly objects: number
  /** The STREAM_BEGIN as it came from the sender, with the relay's stamps in it. */
  readonly begin: Buffer
  /** How far it has come. */
  readonly receivedBytes: number
  /** From where on no more should be asked for now, for the store would have to hold too much in memory; what is on its way may come. It never falls. */
  readonly roomEnd: number
  /** Called when {@link LargeBody.roomEnd} has risen, or the body cannot be kept (then with why). */
  onRoom: ((error?: ObjectRelayError) => void) | undefined
  /** Takes a part, which is not changed afterwards. What came already may come again; a gap, or more than announced, throws `PROTOCOL_VIOLATION`. */
  writeAt(offset: number, part: Buffer): void
  /**
   * Asks for the whole body, of which the last byte has come, to be as safe as this store makes things. Returns `undefined` if it
   * is already; else a promise, which rejects with a typed error if that cannot be.
   */
  finish(): Promise<void> | undefined
  /** The object was accepted, and that is kept: receivers may have its last byte, which is held back until then. */
  releaseEnd(): void
  /** Opens it for one receiver; `onReadable` is called when `availableBytes` has risen. */
  openReader(onReadable: () => void): LargeReader
}

/** One receiver's view of a large object. */
export interface LargeReader {
  readonly totalBytes: number
  /**
   * How far it can be read now. If that is nothing, what comes next is being fetched; it is called for by asking. What is not
   * read soon may have to be fetched again, so ask right before reading.
   */
  readonly availableBytes: number
  /** The bytes from `offset` on, `length` of them, which are available; read in order. */
  pieces(offset: number, length: number): readonly Buffer[]
  close(): void
}

/** Objects of one session that were accepted, `from` to `to`, with the members that their groups had. */
export interface AcceptedRun {
  readonly from: number
  readonly to: number
  readonly memberCounts: readonly number[]
}

/** What a run takes where it is kept. */
export function runBytes({ memberCounts }: AcceptedRun): number {
  return 13 + 4 * memberCounts.length
}

/** How many frames of an endpoint had their effect in one of its sessions, and in which: the first one is 1. */
export interface ReceivedFrames {
  readonly epoch: number
  readonly frames: number
}

/** What is remembered of one session. */
export interface RememberedSession {
  /** What it was answered and may not know. */
  readonly runs: readonly AcceptedRun[]
  readonly received: ReceivedFrames | undefined
}

/** What changed of what is remembered of a session, after it was told of as a whole. */
export interface SessionChange {
  /** The runs that were told of then are needed no more. */
  readonly isPastKnown: boolean
  /** So many of the oldest runs that were added since are needed no more. */
  readonly forgotten: number
  readonly added: readonly AcceptedRun[]
  /** What was received; `undefined`: what it was before. */
  readonly received: ReceivedFrames | undefined
}

/** Who is told what an earlier run of the relay kept. */
export interface Recovery {
  /** What was set of a group; before all places. */
  groupSet(group: string, setting: GroupSetting): void
  /**
   * In any order, but all places of one object one after another, with the same payload. The sender is told of objects of which a
   * session has a copy.
   */
  place(place: KeptPlace<StoredObject>, sender: Sender | undefined): void
  /** What a session was answered and may not know, and what was received from it. */
  remembered(session: string, runs: readonly AcceptedRun[], received: ReceivedFrames | undefined): void
}

/**
 * Where a relay keeps objects that wait, are leased or were broadcast last, and what it has to know of them. A relay tells
 * everything in order, and lets nothing that speaks of it leave before {@link Store.commit} says that it is kept.
 */
export interface Store {
  /** The name of the relay that it belongs to: the same as before if it remembers anything of before. */
  readonly relayName: string
  /** 32 secret bytes from which the relay derives what seals its tickets: the same as before if they are to outlive it. */
  readonly ticketKey: Uint8Array
  /** Whether leases outlive the relay, so that endpoints should be ready to claim theirs. */
  readonly keepsLeases: boolean
  /** What the broker tells goes here. */
  readonly journal: BrokerJournal<StoredObject>
  /** Where kept frames and parts of bodies lie, if that memory is used again: who may need them longer than they are kept has a reference. */
  readonly slabs?: SlabPool | undefined
  /** How what waits far behind in a queue is told by a number; `undefined` if it is not. */
  readonly packing?: Packing<StoredObject> | undefined
  /** Tells what was kept by an earlier run; once, before anything else. */
  recover(recovery: Recovery): void
  /** A number for a session that no other session of this relay has had. */
  takeSource(): number
  /** Why an object of so many bytes cannot be taken now, if it cannot: a disk that is nearly full. */
  refusal(bytes: number): ObjectRelayError | undefined
  /**
   * Keeps a copy of the frame, or of the first of `objects` frames that lie one behind the other: as many as this store keeps as one.
   * The bytes may be reused after the call.
   */
  keep(buffer: Buffer, start: number, end: number, objects?: number): KeptFrame
  /** Cuts the first `objects` frames off kept ones, fewer than there are, which are kept on their own from now on. */
  cut(run: StoredObject, objects: number): KeptFrame
  /** Begins to keep a large object. */
  keepLarge(begin: Buffer, bodyBytes: number): LargeBody
  /** The object is needed no more. */
  release(object: StoredObject): void
  /** All that is to be remembered of a session, in place of what was told of it before: nothing, if there is neither. */
  rememberSession(session: string, memory: RememberedSession): void
  /** What changed of that since; it costs what it has, and not what is remembered. */
  changeSession(session: string, change: SessionChange): void
  /**
   * Called before each commit is sealed; set by the relay. A commit may hold objects that came after it was asked for: the relay tells
   * now what belongs to them, their answers above all, so that both are in the same commit.
   */
  beforeCommit: () => void
  /**
   * Asks for all that was told until now to be kept, together or not at all. Returns `undefined` if it is already; otherwise a
   * promise. The promises resolve in the order of the calls. One that rejects says that nothing can be kept any more.
   */
  commit(): Promise<void> | undefined
  /** Whether so much waits for the disk that nothing more should be read from endpoints until some of it is kept. */
  readonly isBehind: boolean
  /** Copies that were queued and are not kept yet, by their groups. */
  unkept(): ReadonlyMap<string, number>
  /** Whether much of the room lies unused between what is kept, so that it is worth the work to move it together. */
  readonly needsCompaction: boolean
  /** Moves what is kept together; `kept` is all of it, some more than once, `places` what the journal was told of it, summed up. */
  compact(kept: Iterable<StoredObject>, places: Iterable<KeptPlace<StoredObject>>): void
  /** Memory that kept frames take, theirs and what lies unused between them. */
  readonly memoryBytes: number
  /** Keeps what was told until now, as far as there is room for it, and ends. */
  close(): Promise<void>
}

/** What a store may ask of its relay. */
export interface StoreHost {
  /** Something that the operator should know, after which it goes on: a disk that was full, and is tried again. */
  report(error: ObjectRelayError): void
}
