import { readUint32 } from '../../wire/integers.ts'
import type { ChunkSource } from '../../wire/outgoingStream.ts'
import type { SendSlab } from './sendMemory.ts'

/** The body of a large object, and the number under which it goes. */
export interface OutgoingBody {
  readonly id: number
  /** It begins only when no other large object of its lanes is on its way, and may be withdrawn until then. */
  readonly isReplaceable: boolean
  readonly source: ChunkSource
  readonly parts: readonly ArrayBuffer[]
}

/** An object that the program sent and the relay has not accepted yet. */
export interface OutgoingObject {
  readonly sequence: number
  /** The OBJECT frame, or the STREAM_BEGIN of a large object. */
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
  /** Of a large object. */
  readonly stream: OutgoingBody | undefined
  /** Of a small one: what it lies in. */
  readonly slab: SendSlab | undefined
}

/** Frames of objects with consecutive sequences that lie in a row: those of small ones, or that of one large object. */
export class KeptRun {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
  readonly stream: OutgoingBody | undefined
  readonly slab: SendSlab | undefined
  readonly firstSequence: number
  readonly lastSequence: number
  /** All before this one are resolved. */
  #from: number
  /** What is resolved behind it. */
  #scattered: Set<number> | undefined

  constructor(object: OutgoingObject) {
    this.buffer = object.buffer
    this.start = object.start
    this.end = object.end
    this.stream = object.stream
    this.slab = object.slab
    this.firstSequence = object.sequence
    this.lastSequence = object.sequence + countFrames(object) - 1
    this.#from = object.sequence
  }

  get unresolved(): number {
    return this.lastSequence - this.#from + 1 - (this.#scattered?.size ?? 0)
  }

  isUnresolved(sequence: number): boolean {
    return sequence >= this.#from && this.#scattered?.has(sequence) !== true
  }

  /** Resolves those of the sequences from `from` to `to` that are here. */
  resolve(from: number, to: number): void {
    const last = Math.min(to, this.lastSequence)
    if (from <= this.#from) {
      this.#from = Math.max(this.#from, last + 1)
      if (this.#scattered !== undefined) this.#joinScattered(this.#scattered)
    } else {
      this.#scattered ??= new Set()
      for (let sequence = from; sequence <= last; sequence++) this.#scattered.add(sequence)
    }
  }

  #joinScattered(scattered: Set<number>): void {
    for (const sequence of scattered) if (sequence < this.#from) scattered.delete(sequence)
    while (scattered.delete(this.#from)) this.#from++
    if (scattered.size === 0) this.#scattered = undefined
  }

  /** Each object that is not resolved, as a frame of its own. */
  *objects(): Generator<OutgoingObject> {
    const { buffer, stream, slab } = this
    let sequence = this.firstSequence
    for (let start = this.start; start < this.end; sequence++) {
      const end = start + readUint32(buffer, start)
      if (this.isUnresolved(sequence)) yield { sequence, buffer, start, end, stream, slab }
      start = end
    }
  }
}

function countFrames({ buffer, start, end }: OutgoingObject): number {
  let frames = 0
  for (let at = start; at < end; at += readUint32(buffer, at)) frames++
  return frames
}

/** From so many runs on it is worth looking for those of which nothing is needed any more. */
const TRIMMED_RUNS_MIN = 1024

/** All runs with objects that the relay has not answered, by their sequences. */
export class KeptRuns {
  #runs: KeptRun[] = []
  #head = 0
  /** Runs behind the head of which nothing is needed. */
  #idle = 0
  /** Objects that are not resolved. */
  unresolved = 0

  /** Adds a run, whose sequences are higher than those before. */
  add(run: KeptRun): void {
    this.#runs.push(run)
    this.unresolved += run.unresolved
  }

  /** All objects that are not resolved, as frames of their own. */
  *objects(): Generator<OutgoingObject> {
    for (const run of this.#needed()) yield* run.objects()
  }

  /** Resolves the objects of these sequences that are not resolved yet; calls `resolved` for each run that they lie in. */
  resolve(from: number, to: number, resolved: (run: KeptRun) => void): void {
    for (let index = this.#indexOf(from); index < this.#runs.length; index++) {
      const run = this.#runs[index]
      if (run === undefined || run.firstSequence > to) break
      const before = run.unresolved
      run.resolve(Math.max(from, run.firstSequence), to)
      const after = run.unresolved
      if (after === before) continue
      this.unresolved -= before - after
      if (after === 0) this.#idle++
      resolved(run)
    }
    this.#trim()
  }

  /** The first run that ends with `sequence` or behind it, by bisection; it is nearly always the oldest. */
  #indexOf(sequence: number): number {
    const endsBefore = (index: number) => (this.#runs[index]?.lastSequence ?? sequence) < sequence
    if (!endsBefore(this.#head)) return this.#head
    let low = this.#head
    let high = this.#runs.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (endsBefore(middle)) low = middle + 1
      else high = middle
    }
    return low
  }

  #trim(): void {
    while (this.#head < this.#runs.length && this.#runs[this.#head]?.unresolved === 0) {
      this.#head++
      this.#idle--
    }
    if (this.#head === this.#runs.length) {
      if (this.#head > 0) this.#runs = []
      this.#head = 0
    } else if (this.#head + this.#idle > TRIMMED_RUNS_MIN && (this.#head + this.#idle) * 2 > this.#runs.length) {
      this.#runs = [...this.#needed()]
      this.#head = 0
      this.#idle = 0
    }
  }

  /** The runs that are needed, oldest first. */
  *#needed(): Generator<KeptRun> {
    for (let index = this.#head; index < this.#runs.length; index++) {
      const run = this.#runs[index]
      if (run !== undefined && run.unresolved > 0) yield run
    }
  }
}
