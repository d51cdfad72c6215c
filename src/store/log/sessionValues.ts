import { readUint32, readUint48, writeUint32, writeUint48 } from '../../wire/integers.ts'
import {
  type AcceptedRun,
  type ReceivedFrames,
  type RememberedSession,
  runBytes,
  type SessionChange,
} from '../store.ts'
import type { LogValues } from './logValues.ts'
import { storeCorrupt } from './storeCorrupt.ts'

/** What was known of a session when it was told of as a whole: its runs. */
const RUNS_PREFIX = 'sessions/'
/** What was received from it. */
const RECEIVED_PREFIX = 'received/'
/** Runs that came behind, some in each value; behind the name of the session stands a slash and a number that rises. */
const ANSWERS_PREFIX = 'answers/'

/** A value of this many bytes takes no more runs, because each run that is added writes the whole value again. */
const ANSWERS_BYTES = 512

const RECEIVED_BYTES = 12
/** Of a run, before the members of its groups. */
const RUN_HEAD_BYTES = 13

/** Some runs that were told one after the other, in one value. */
interface Answers {
  readonly number: number
  runs: readonly AcceptedRun[]
}

/**
 * What is remembered of sessions, as values of the log. Runs:
 *
 * ```
 *  0      6     12       13
 *  +------+-----+--------+---------------------+-- the next run ...
 *  | from | to  | groups | members, each group |
 *  | u48  | u48 | u8     | u32                 |
 *  +------+-----+--------+---------------------+------------------
 * ```
 *
 * What was received: `epoch` u48, `frames` u48. What is told of a session with each commit is small, and so is what is written for it.
 */
export class SessionValues {
  readonly #values: LogValues
  readonly #answers = new Map<string, Answers[]>()

  constructor(values: LogValues) {
    this.#values = values
  }

  /** Takes over what an earlier run has written, and tells what that was. Throws `STORE_CORRUPT`. */
  restore(values: Iterable<readonly [name: string, value: Buffer]>): ReadonlyMap<string, RememberedSession> {
    const memories = new Map<string, { runs: readonly AcceptedRun[]; received: ReceivedFrames | undefined }>()
    const memoryOf = (session: string) => {
      const known = memories.get(session) ?? { runs: [], received: undefined }
      memories.set(session, known)
      return known
    }
    for (const [name, value] of values) {
      if (name.startsWith(RUNS_PREFIX)) memoryOf(name.slice(RUNS_PREFIX.length)).runs = decodeRuns(name, value)
      else if (name.startsWith(RECEIVED_PREFIX))
        memoryOf(name.slice(RECEIVED_PREFIX.length)).received = decodeReceived(name, value)
      else if (name.startsWith(ANSWERS_PREFIX)) {
        const { session, number } = parseAnswersName(name)
        memoryOf(session)
        this.#answersOf(session).push({ number, runs: decodeRuns(name, value) })
      }
    }
    for (const [session, answers] of this.#answers) {
      answers.sort((one, other) => one.number - other.number)
      const memory = memoryOf(session)
      memory.runs = [...memory.runs, ...answers.flatMap(({ runs }) => runs)]
    }
    return memories
  }

  /** All that is known of a session, in place of what was. */
  set(session: string, { runs, received }: RememberedSession): void {
    this.#forgetAnswers(session, Number.POSITIVE_INFINITY)
    this.#values.set(RUNS_PREFIX + session, runs.length === 0 ? undefined : encodeRuns(runs))
    this.#values.set(RECEIVED_PREFIX + session, received === undefined ? undefined : encodeReceived(received))
  }

  change(session: string, { isPastKnown, forgotten, added, received }: SessionChange): void {
    if (isPastKnown) this.#values.set(RUNS_PREFIX + session, undefined)
    if (received !== undefined) this.#values.set(RECEIVED_PREFIX + session, encodeReceived(received))
    const changed = new Set<Answers>(this.#forgetAnswers(session, forgotten))
    for (const run of added) changed.add(this.#addAnswer(session, run))
    for (const { number, runs } of changed) this.#values.set(answersName(session, number), encodeRuns(runs))
  }

  #addAnswer(session: string, run: AcceptedRun): Answers {
    const all = this.#answersOf(session)
    const last = all.at(-1)
    if (last !== undefined && sizeOf(last.runs) < ANSWERS_BYTES) {
      last.runs = [...last.runs, run]
      return last
    }
    const next = { number: (last?.number ?? 0) + 1, runs: [run] }
    all.push(next)
    return next
  }

  /** Forgets the oldest runs; returns what lost some and is not empty. */
  #forgetAnswers(session: string, count: number): Answers[] {
    const all = this.#answers.get(session) ?? []
    let left = count
    for (let first = all[0]; first !== undefined && left > 0; first = all[0]) {
      const { runs, number } = first
      first.runs = runs.slice(left)
      left -= runs.length
      if (first.runs.length > 0) return [first]
      all.shift()
      this.#values.set(answersName(session, number), undefined)
    }
    if (all.length === 0) this.#answers.delete(session)
    return []
  }

  #answersOf(session: string): Answers[] {
    let answers = this.#answers.get(session)
    if (answers === undefined) {
      answers = []
      this.#answers.set(session, answers)
    }
    return answers
  }
}

function answersName(session: string, number: number): string {
  return `${ANSWERS_PREFIX}${session}/${number}`
}

function parseAnswersName(name: string): { session: string; number: number } {
  const slash = name.lastIndexOf('/')
  const number = Number(name.slice(slash + 1))
  if (!Number.isSafeInteger(number) || number < 1 || slash < ANSWERS_PREFIX.length)
    throw storeCorrupt(`The value "${name}"`, 'has a name that cannot be')
  return { session: name.slice(ANSWERS_PREFIX.length, slash), number }
}

function sizeOf(runs: readonly AcceptedRun[]): number {
  return runs.reduce((bytes, run) => bytes + runBytes(run), 0)
}

function encodeRuns(runs: readonly AcceptedRun[]): Buffer {
  const bytes = Buffer.allocUnsafe(sizeOf(runs))
  let at = 0
  for (const { from, to, memberCounts } of runs) {
    writeUint48(bytes, at, from)
    writeUint48(bytes, at + 6, to)
    bytes[at + 12] = memberCounts.length
    at += RUN_HEAD_BYTES
    for (const count of memberCounts) {
      writeUint32(bytes, at, count)
      at += 4
    }
  }
  return bytes
}

/** Throws `STORE_CORRUPT`. */
function decodeRuns(name: string, bytes: Buffer): AcceptedRun[] {
  const where = `The value "${name}"`
  const runs: AcceptedRun[] = []
  for (let at = 0; at < bytes.length; ) {
    const groups = bytes[at + 12] ?? 0
    const end = at + RUN_HEAD_BYTES + 4 * groups
    if (end > bytes.length) throw storeCorrupt(where, 'was cut off')
    const counts = at + RUN_HEAD_BYTES
    const memberCounts = Array.from({ length: groups }, (_, index) => readUint32(bytes, counts + 4 * index))
    const run = { from: readUint48(bytes, at), to: readUint48(bytes, at + 6), memberCounts }
    if (run.to < run.from) throw storeCorrupt(where, 'has a run that ends before it begins')
    runs.push(run)
    at = end
  }
  return runs
}

function encodeReceived({ epoch, frames }: ReceivedFrames): Buffer {
  const bytes = Buffer.allocUnsafe(RECEIVED_BYTES)
  writeUint48(bytes, 0, epoch)
  writeUint48(bytes, 6, frames)
  return bytes
}

/** Throws `STORE_CORRUPT`. */
function decodeReceived(name: string, bytes: Buffer): ReceivedFrames {
  if (bytes.length !== RECEIVED_BYTES) throw storeCorrupt(`The value "${name}"`, 'has another length than it should')
  return { epoch: readUint48(bytes, 0), frames: readUint48(bytes, 6) }
}
