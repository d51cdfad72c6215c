import type { AcceptedRun } from '../store/store.ts'

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

/**
 * What sessions whose grace time was over had been answered and not confirmed. Their endpoints do not know it, and will send
 * those objects once more when they come back: a machine that was suspended for a night. They must not be queued twice.
 */
export class PastAnswers {
  /** By the name of the session; each list ascends. The map is in the order in which the sessions ended. */
  readonly #sessions = new Map<string, readonly AcceptedRun[]>()
  readonly #runsMax: number
  readonly #forgotten: (session: string) => void
  #runs = 0

  /** `forgotten` is called for each session of which nothing will be recognised any more, because there are too many. */
  constructor(forgotten: (session: string) => void, runsMax: number = RUNS_MAX) {
    this.#forgotten = forgotten
    this.#runsMax = runsMax
  }

  /** A session ended. */
  keep(session: string, answers: Iterable<AcceptedRun>): void {
    this.take(session)
    const runs = inOrder(answers).slice(-RUNS_PER_SESSION_MAX)
    if (runs.length === 0) return
    this.#sessions.set(session, runs)
    this.#runs += runs.length
    for (const name of this.#sessions.keys()) {
      if (this.#runs <= this.#runsMax) break
      this.take(name)
      this.#forgotten(name)
    }
  }

  /** What to answer to the endpoint of that name, which begins another session; it is forgotten here. */
  take(session: string): readonly AcceptedRun[] {
    const runs = this.#sessions.get(session) ?? []
    this.#sessions.delete(session)
    this.#runs -= runs.length
    return runs
  }
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
