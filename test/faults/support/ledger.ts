import { readFileSync } from 'node:fs'

/** What became of the objects of a run. `outOfOrder`, `duplicated` and `lost` are of what was delivered for the first time, or not at all. */
export interface Verdict {
  readonly accepted: number
  readonly arrived: number
  /** Accepted, and never arrived. */
  readonly lost: number
  /** Arrived at a program more than once. */
  readonly duplicated: number
  /** Arrived, and was never sent, was refused, or is not what was sent. */
  readonly unexpected: number
  /** Came to one consumer behind an object that its producer sent later, and was not given back before. */
  readonly outOfOrder: number
  /** Delivered with an attempt above 1. */
  readonly redelivered: number
}

interface Arrival {
  readonly id: string
  readonly source: string
  readonly number: number
  readonly attempt: number
  readonly skipped: number
}

/** The ids of objects that were sent: `source` with each number below its count. */
export type Sent = Readonly<Record<string, number>>

/** Reads the journals of a run and classes each object. */
export class Ledger {
  readonly accepted: Set<string> = new Set()
  readonly failed: Map<string, string> = new Map()
  readonly arrivals: Arrival[][] = []
  damaged = 0

  /** `journals` are files that parties wrote; each consumer has its own. */
  constructor(journals: readonly string[]) {
    for (const journal of journals) this.#read(journal)
  }

  /** How many objects arrived, counted once each. */
  get arrived(): number {
    return this.#counts().size
  }

  get skipped(): number {
    return this.arrivals.flat().reduce((sum, { skipped }) => sum + skipped, 0)
  }

  /** The ids that were accepted and did not arrive. */
  get lost(): string[] {
    const arrived = this.#counts()
    return [...this.accepted].filter((id) => !arrived.has(id))
  }

  verdict(sent: Sent): Verdict {
    const counts = this.#counts()
    return {
      accepted: this.accepted.size,
      arrived: counts.size,
      lost: this.lost.length,
      duplicated: [...counts.values()].filter((count) => count > 1).length,
      unexpected: this.damaged + [...counts.keys()].filter((id) => this.failed.has(id) || !wasSent(id, sent)).length,
      outOfOrder: this.arrivals.reduce((sum, arrivals) => sum + countOutOfOrder(arrivals), 0),
      redelivered: this.arrivals.flat().filter(({ attempt }) => attempt > 1).length,
    }
  }

  #counts(): Map<string, number> {
    const counts = new Map<string, number>()
    for (const { id } of this.arrivals.flat()) counts.set(id, (counts.get(id) ?? 0) + 1)
    return counts
  }

  #read(journal: string): void {
    const arrivals: Arrival[] = []
    // The last line of a party that was killed may be half a line only if the machine lost power: a write is one call.
    for (const line of readJournal(journal)) {
      const [what, source = '', number = '', ...rest] = line.split(' ')
      const id = `${source} ${number}`
      if (what === 'accepted') this.accepted.add(id)
      else if (what === 'failed') this.failed.set(id, rest[0] ?? '')
      else if (what === 'damaged') this.damaged++
      else if (what === 'came')
        arrivals.push({ id, source, number: Number(number), attempt: Number(rest[0]), skipped: Number(rest[1]) })
    }
    if (arrivals.length > 0) this.arrivals.push(arrivals)
  }
}

/** The lines of a journal; none of one that was not begun. */
export function readJournal(path: string): string[] {
  try {
    return readFileSync(path, 'latin1').split('\n').slice(0, -1)
  } catch {
    return []
  }
}

function wasSent(id: string, sent: Sent): boolean {
  const [source = '', number = ''] = id.split(' ')
  return Number(number) < (sent[source] ?? 0)
}

function countOutOfOrder(arrivals: readonly Arrival[]): number {
  const highest = new Map<string, number>()
  let count = 0
  for (const { source, number, attempt } of arrivals) {
    // What was given back comes behind what it was ahead of.
    if (attempt > 1) continue
    if (number < (highest.get(source) ?? -1)) count++
    else highest.set(source, number)
  }
  return count
}
