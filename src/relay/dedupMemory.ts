import { type AcceptedRun, type ReceivedFrames, type RememberedSession, runBytes } from '../store/store.ts'

/** Bytes of runs that are remembered of one session, as a store keeps them; of a session with more, those of its youngest objects. */
const SESSION_BYTES_MAX = 64 * 1024
/** The same of all sessions that are over. When there is more, the sessions that ended first are forgotten. */
const BYTES_MAX = 16 * 1024 * 1024
/** What a session takes beside its runs. */
const SESSION_BYTES = 64

/** What became of a session's answers since the store was told. */
export interface AnswerChanges {
  /** Of those that the store was told of, the oldest that are forgotten. */
  readonly forgotten: number
  readonly added: readonly AcceptedRun[]
}

/** What an endpoint was answered and may not know, because it has not confirmed the frame that says so. */
export class UnconfirmedAnswers {
  #runs: AcceptedRun[] = []
  /** For each run, the number of its frame; infinite before it leaves. */
  #frames: number[] = []
  #bytes = 0
  /** Runs that were sent, and runs that were forgotten, since the beginning. */
  #sent = 0
  #forgotten = 0
  /** How many of the runs the store was told of, and how many others of those are forgotten. */
  #told = 0
  #toldForgotten = 0

  add(run: AcceptedRun): void {
    this.#runs.push(run)
    this.#frames.push(Number.POSITIVE_INFINITY)
    this.#bytes += runBytes(run)
    // An endpoint that confirms nothing must not make this side remember without end.
    if (this.#bytes > 2 * SESSION_BYTES_MAX) this.#forget(this.#runs.length - youngest(this.#runs).length)
  }

  /** The frame with the next run that was not sent yet has left, as number `frame`. */
  sent(frame: number): void {
    const index = this.#sent++ - this.#forgotten
    if (index >= 0) this.#frames[index] = frame
  }

  /** The endpoint has received so many frames in all; returns the runs that it knows now. */
  confirmed(frames: number): readonly AcceptedRun[] {
    const count = this.#frames.findIndex((frame) => frame > frames)
    return count === 0 ? [] : this.#forget(count === -1 ? this.#runs.length : count)
  }

  get runs(): readonly AcceptedRun[] {
    return this.#runs
  }

  /** What the store has to be told now; `undefined` if nothing. */
  takeChanges(): AnswerChanges | undefined {
    const changes = { forgotten: this.#toldForgotten, added: this.#runs.slice(this.#told) }
    if (changes.forgotten === 0 && changes.added.length === 0) return undefined
    this.#told = this.#runs.length
    this.#toldForgotten = 0
    return changes
  }

  #forget(count: number): readonly AcceptedRun[] {
    const forgotten = this.#runs.slice(0, count)
    for (const run of forgotten) this.#bytes -= runBytes(run)
    this.#forgotten += count
    this.#toldForgotten += Math.min(count, this.#told)
    this.#told = Math.max(0, this.#told - count)
    this.#runs = this.#runs.slice(count)
    this.#frames = this.#frames.slice(count)
    return forgotten
  }
}

/** What an endpoint was answered in an earlier session and does not know: it sends those objects once more. */
export class PastAnswers {
  /** They ascend and do not overlap. */
  #runs: readonly AcceptedRun[]

  /** `unresolved`: what the endpoint is going to send again, if it says so; it knows of all others that they were accepted. */
  constructor(runs: readonly AcceptedRun[], unresolved: readonly SequenceRange[] | undefined) {
    this.#runs = unresolved === undefined ? runs : runs.flatMap((run) => partsIn(run, unresolved))
  }

  get runs(): readonly AcceptedRun[] {
    return this.#runs
  }

  /** The run that holds the sequence. */
  find(sequence: number): AcceptedRun | undefined {
    const run = this.#runs[this.#indexOf(sequence)]
    return run !== undefined && run.from <= sequence ? run : undefined
  }

  /** The endpoint knows now of the objects from `from` to `to`. */
  forget({ from, to }: SequenceRange): void {
    const first = this.#indexOf(from)
    let end = first
    while ((this.#runs[end]?.from ?? Number.POSITIVE_INFINITY) <= to) end++
    if (end === first) return
    const left = this.#runs
      .slice(first, end)
      .flatMap((run) => [
        ...(run.from < from ? [{ ...run, to: from - 1 }] : []),
        ...(run.to > to ? [{ ...run, from: to + 1 }] : []),
      ])
    this.#runs = [...this.#runs.slice(0, first), ...left, ...this.#runs.slice(end)]
  }

  /** The first run that ends with the sequence or behind it. */
  #indexOf(sequence: number): number {
    let low = 0
    let high = this.#runs.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#runs[middle]?.to ?? Number.POSITIVE_INFINITY) < sequence) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Objects whose sequences follow each other, both ends included. */
export interface SequenceRange {
  readonly from: number
  readonly to: number
}

/** The parts of a run that lie in ranges, which ascend. */
function partsIn(run: AcceptedRun, ranges: readonly SequenceRange[]): AcceptedRun[] {
  return ranges.flatMap((range) => {
    const from = Math.max(run.from, range.from)
    const to = Math.min(run.to, range.to)
    return from <= to ? [{ ...run, from, to }] : []
  })
}

const nothing: RememberedSession = { runs: [], received: undefined }

/**
 * What sessions whose grace time was over had been answered and not confirmed. Their endpoints do not know it, and will send
 * those objects once more when they come back: a machine that was suspended for a night. They must not be queued twice.
 */
export class DedupMemory {
  /** By the id of the endpoint; the runs of each ascend. The map is in the order in which the sessions ended. */
  readonly #sessions = new Map<string, RememberedSession>()
  readonly #bytesMax: number
  readonly #forgotten: (session: string) => void
  #bytes = 0
  /** Sessions of which anything was received. */
  #received = 0

  /** `forgotten` is called for each session of which nothing is known any more. */
  constructor(forgotten: (session: string) => void, bytesMax: number = BYTES_MAX) {
    this.#forgotten = forgotten
    this.#bytesMax = bytesMax
  }

  /** A session ended. */
  keep(session: string, unknown: Iterable<AcceptedRun>, received?: ReceivedFrames): void {
    this.take(session)
    const runs = youngest(inOrder(unknown))
    if (runs.length === 0 && received === undefined) return
    const past = { runs, received }
    this.#sessions.set(session, past)
    this.#bytes += bytesOf(past)
    if (received !== undefined) this.#received++
    for (const name of this.#sessions.keys()) {
      if (this.#bytes <= this.#bytesMax) break
      this.take(name)
      this.#forgotten(name)
    }
  }

  /** What is known of the endpoint of that id. */
  look(session: string): RememberedSession {
    return this.#sessions.get(session) ?? nothing
  }

  /** The same, for an endpoint that has begun another session; it is forgotten here. */
  take(session: string): RememberedSession {
    const past = this.#sessions.get(session)
    if (past === undefined) return nothing
    this.#sessions.delete(session)
    this.#bytes -= bytesOf(past)
    if (past.received !== undefined) this.#received--
    return past
  }

  /** What was received from sessions that are not awaited any more is of no use. */
  forgetReceived(isAwaited: (session: string) => boolean): void {
    if (this.#received === 0) return
    for (const [session, { runs, received }] of this.#sessions) {
      if (received === undefined || isAwaited(session)) continue
      if (runs.length > 0) {
        this.#sessions.set(session, { runs, received: undefined })
        this.#received--
      } else {
        this.take(session)
        this.#forgotten(session)
      }
    }
  }
}

function bytesOf({ runs }: RememberedSession): number {
  return runs.reduce((bytes, run) => bytes + runBytes(run), SESSION_BYTES)
}

/** As many of the last runs as are remembered of one session. */
function youngest(runs: readonly AcceptedRun[]): readonly AcceptedRun[] {
  let bytes = 0
  let first = runs.length
  for (; first > 0; first--) {
    const run = runs[first - 1]
    if (run === undefined) break
    bytes += runBytes(run)
    if (bytes > SESSION_BYTES_MAX) break
  }
  return runs.slice(first)
}

/**
 * Runs that ascend and do not overlap. Lanes that are blocked for a while make the order of the answers another one than that of the
 * objects; and what was answered again, in a session behind another, stands there twice.
 */
function inOrder(answers: Iterable<AcceptedRun>): AcceptedRun[] {
  const runs: AcceptedRun[] = []
  for (const run of [...answers].sort((one, other) => one.from - other.from)) {
    const end = runs.at(-1)?.to ?? -1
    if (run.from > end) runs.push(run)
    else if (run.to > end) runs.push({ ...run, from: end + 1 })
  }
  return runs
}
