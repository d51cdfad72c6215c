import type { AcceptedRun, HeardFrames, SessionMemory } from '../store/store.ts'

/** So many runs are remembered of one session; of a session with more, those of its youngest objects. */
const RUNS_PER_SESSION_MAX = 1_000
/** So many in all, about 10 MB; beyond, whoever ended first is forgotten. */
const RUNS_MAX = 100_000

/** What an endpoint was answered and may not know, because it has not confirmed the frame that says so. */
export class UnconfirmedAnswers {
  #runs: AcceptedRun[] = []
  /** For each run, the number of its frame; infinite before it leaves. */
  #frames: number[] = []
  /** Runs that were sent, and runs that were forgotten, since the beginning. */
  #sent = 0
  #forgotten = 0

  add(run: AcceptedRun): void {
    this.#runs.push(run)
    this.#frames.push(Number.POSITIVE_INFINITY)
    // An endpoint that confirms nothing must not make this side remember without end.
    if (this.#runs.length >= 2 * RUNS_PER_SESSION_MAX) this.#forget(RUNS_PER_SESSION_MAX)
  }

  /** The frame with the next run that was not sent yet has left, as number `frame`. */
  sent(frame: number): void {
    const index = this.#sent++ - this.#forgotten
    if (index >= 0) this.#frames[index] = frame
  }

  /** The endpoint has received so many frames in all. */
  confirmed(frames: number): void {
    const count = this.#frames.findIndex((frame) => frame > frames)
    if (count !== 0) this.#forget(count === -1 ? this.#runs.length : count)
  }

  get runs(): readonly AcceptedRun[] {
    return this.#runs
  }

  #forget(count: number): void {
    this.#forgotten += count
    this.#runs = this.#runs.slice(count)
    this.#frames = this.#frames.slice(count)
  }
}

const nothing: SessionMemory = { runs: [], heard: undefined }

/**
 * What sessions whose grace time was over had been answered and not confirmed. Their endpoints do not know it, and will send
 * those objects once more when they come back: a machine that was suspended for a night. They must not be queued twice.
 */
export class PastSessions {
  /** By the id of the endpoint; the runs of each ascend. The map is in the order in which the sessions ended. */
  readonly #sessions = new Map<string, SessionMemory>()
  readonly #runsMax: number
  readonly #forgotten: (session: string) => void
  #runs = 0
  /** Sessions of which anything was heard. */
  #heard = 0

  /** `forgotten` is called for each session of which nothing is known any more. */
  constructor(forgotten: (session: string) => void, runsMax: number = RUNS_MAX) {
    this.#forgotten = forgotten
    this.#runsMax = runsMax
  }

  /** A session ended. */
  keep(session: string, unknown: Iterable<AcceptedRun>, heard?: HeardFrames): void {
    this.take(session)
    const runs = inOrder(unknown).slice(-RUNS_PER_SESSION_MAX)
    if (runs.length === 0 && heard === undefined) return
    const past = { runs, heard }
    this.#sessions.set(session, past)
    this.#runs += weightOf(past)
    if (heard !== undefined) this.#heard++
    for (const name of this.#sessions.keys()) {
      if (this.#runs <= this.#runsMax) break
      this.take(name)
      this.#forgotten(name)
    }
  }

  /** What is known of the endpoint of that id. */
  look(session: string): SessionMemory {
    return this.#sessions.get(session) ?? nothing
  }

  /** The same, for an endpoint that has begun another session; it is forgotten here. */
  take(session: string): SessionMemory {
    const past = this.#sessions.get(session)
    if (past === undefined) return nothing
    this.#sessions.delete(session)
    this.#runs -= weightOf(past)
    if (past.heard !== undefined) this.#heard--
    return past
  }

  /** What was heard of sessions that are not awaited any more is of no use. */
  forgetHeard(isAwaited: (session: string) => boolean): void {
    if (this.#heard === 0) return
    for (const [session, { runs, heard }] of this.#sessions) {
      if (heard === undefined || isAwaited(session)) continue
      if (runs.length > 0) {
        this.#sessions.set(session, { runs, heard: undefined })
        this.#heard--
      } else {
        this.take(session)
        this.#forgotten(session)
      }
    }
  }
}

/** One more than its runs, so that sessions without any are bounded too. */
function weightOf({ runs }: SessionMemory): number {
  return runs.length + 1
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

/** The run that holds the sequence; `runs` ascend and do not overlap. */
export function findRun(runs: readonly AcceptedRun[], sequence: number): AcceptedRun | undefined {
  let low = 0
  let high = runs.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((runs[middle]?.to ?? Number.POSITIVE_INFINITY) < sequence) low = middle + 1
    else high = middle
  }
  const run = runs[low]
  return run !== undefined && run.from <= sequence ? run : undefined
}
