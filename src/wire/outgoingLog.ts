import { readUint32 } from './integers.ts'
import type { SlabPool } from './slabPool.ts'

/** Whole frames that lie in a row in one buffer; the last may go on in `tail`. */
export interface Run {
  readonly buffer: Buffer
  start: number
  end: number
  frames: number
  /** The rest of a single frame whose parts lie elsewhere: a chunk of a large object. */
  readonly tail: readonly Buffer[] | undefined
  /** Whether the log has references to the slabs that it lies in, to be given back. */
  isRetained: boolean
}

/**
 * The numbered frames of one direction of a session: what was not sent yet, and what was sent and not confirmed by the
 * peer. After a reconnect everything that the peer did not receive is simply unsent again; nothing above this class
 * has to know that the link ever broke.
 */
export class OutgoingLog {
  #runs: Run[] = []
  #head = 0
  #unsent = 0
  #confirmedFrames = 0
  #appendedFrames = 0
  #bytes = 0
  readonly #slabs: SlabPool | undefined

  /** The log refers to what it is given as long as it may have to be sent again; with `slabs`, to slabs of that pool. */
  constructor(slabs?: SlabPool) {
    this.#slabs = slabs
  }

  /** Frames that were appended since the session began. */
  get appendedFrames(): number {
    return this.#appendedFrames
  }

  /** Frames whose receipt the peer confirmed. */
  get confirmedFrames(): number {
    return this.#confirmedFrames
  }

  /** Bytes that are kept here. */
  get bytes(): number {
    return this.#bytes
  }

  get hasUnsent(): boolean {
    return this.#unsent < this.#runs.length
  }

  /** Appends whole frames, one behind the other. What lies behind the previous ones in the same buffer joins their run. */
  append(buffer: Buffer, start: number, end: number, frames = 1): void {
    this.#appendedFrames += frames
    this.#bytes += end - start
    const last = this.#runs[this.#runs.length - 1]
    if (
      last !== undefined &&
      this.#unsent < this.#runs.length &&
      last.buffer === buffer &&
      last.end === start &&
      last.tail === undefined
    ) {
      last.end = end
      last.frames += frames
    } else this.#push({ buffer, start, end, frames, tail: undefined, isRetained: true })
  }

  /** Appends one frame that begins with `head` and goes on with `tail`. */
  appendParts(head: Buffer, tail: readonly Buffer[]): void {
    this.#appendedFrames++
    this.#push({ buffer: head, start: 0, end: head.length, frames: 1, tail, isRetained: true })
    this.#bytes += head.length
    for (const part of tail) this.#bytes += part.length
  }

  /** The next run to write, which counts as sent from now on; `undefined` when there is none. */
  takeUnsent(): Run | undefined {
    const run = this.#runs[this.#unsent]
    if (run !== undefined) this.#unsent++
    return run
  }

  /** The peer received `frames` in all. Returns whether that can be: not less than before, not more than was sent. */
  confirm(frames: number): boolean {
    if (!(frames >= this.#confirmedFrames && frames <= this.#appendedFrames)) return false
    let left = frames - this.#confirmedFrames
    this.#confirmedFrames = frames
    while (left > 0) {
      const run = this.#runs[this.#head]
      // Runs hold all frames that are appended and not confirmed, so there is one while left > 0; and none that was
      // not sent can be confirmed.
      if (run === undefined || this.#head >= this.#unsent) return false
      if (run.frames > left) {
        this.#bytes -= skipFrames(run, left)
        break
      }
      left -= run.frames
      this.#bytes -= bytesOf(run)
      this.#letGo(run)
      this.#head++
    }
    this.#trim()
    return true
  }

  /** The peer came back and has received `frames` in all: the rest is unsent again. Returns whether that can be. */
  rewind(frames: number): boolean {
    if (!this.confirm(frames)) return false
    // What was written to the old connection may still be on its way into that: nobody can say when it is read for the last time.
    for (let index = this.#head; index < this.#unsent; index++) {
      const run = this.#runs[index]
      if (run !== undefined) run.isRetained = false
    }
    this.#unsent = this.#head
    return true
  }

  #push(run: Run): void {
    this.#runs.push(run)
    if (this.#slabs === undefined) return
    this.#slabs.retain(run.buffer)
    if (run.tail !== undefined) for (const part of run.tail) this.#slabs.retain(part)
  }

  #letGo(run: Run): void {
    if (this.#slabs === undefined || !run.isRetained) return
    this.#slabs.release(run.buffer)
    if (run.tail !== undefined) for (const part of run.tail) this.#slabs.release(part)
  }

  #trim(): void {
    if (this.#head === this.#runs.length) {
      this.#runs = []
      this.#head = 0
      this.#unsent = 0
    } else if (this.#head > 1024 && this.#head * 2 > this.#runs.length) {
      this.#runs.splice(0, this.#head)
      this.#unsent -= this.#head
      this.#head = 0
    }
  }
}

export function bytesOf(run: Run): number {
  let bytes = run.end - run.start
  if (run.tail !== undefined) for (const part of run.tail) bytes += part.length
  return bytes
}

/** Takes the first `frames` frames off a run, finding their ends by their length fields; returns how many bytes that is. */
function skipFrames(run: Run, frames: number): number {
  const before = run.start
  for (let index = 0; index < frames; index++) run.start += readUint32(run.buffer, run.start)
  run.frames -= frames
  return run.start - before
}
