import type { BrokerJournal, KeptPlace } from '../../src/core/journal.ts'
import type { GroupSetting } from '../../src/core/ports.ts'
import type { DeadLetter } from '../../src/deadLetter.ts'
import { openStore } from '../../src/store/memoryStore.ts'
import type { Recovery, RememberedSession, Sender, SessionChange, Store, StoredObject } from '../../src/store/store.ts'
import { readUint32 } from '../../src/wire/integers.ts'
import { readSequence, readSource } from '../../src/wire/objectHeader.ts'

/** The copies of an object in the queue of one group. */
interface Place {
  readonly payload: StoredObject
  readonly group: string
  readonly groupIndex: number
  readonly order: number
  readonly copies: { attempt: number; session: string | undefined; isSeen: boolean }[]
  deadLetter: DeadLetter | undefined
}

/**
 * What outlives a relay in tests: all that it told its store up to the last commit. It knows places in the simplest of ways, and
 * finds out whether what the broker tells makes sense.
 */
export class KeptMemory {
  readonly #store = openStore()
  readonly #places = new Set<Place>()
  readonly #broadcasts = new Map<string, Omit<Place, 'copies' | 'deadLetter'>>()
  readonly #groups = new Map<string, GroupSetting>()
  /** `pastRuns`: how many of its runs were told of as a whole. */
  readonly #sessions = new Map<string, RememberedSession & { readonly pastRuns: number }>()
  /** What the present run of the relay told since its last commit; a killed one tells nothing more. */
  #told: (() => void)[] = []
  #sources = 0
  /** How many answers relays have told of, each time counted. */
  toldRuns = 0

  /** The store of the next run. */
  open(): Store {
    const store = this.#store
    const told: (() => void)[] = []
    this.#told = told
    const tell = (what: () => void): void => void told.push(what)
    const commit = (): undefined => {
      if (told === this.#told) for (const what of told.splice(0)) what()
    }
    return {
      relayName: 'the-relay',
      ticketKey: new Uint8Array(32),
      keepsLeases: true,
      journal: this.#journal(tell),
      needsCompaction: false,
      isBehind: false,
      beforeCommit: () => undefined,
      unkept: () => new Map(),
      memoryBytes: 0,
      recover: (recovery) => this.#recover(recovery),
      takeSource: () => ++this.#sources,
      refusal: () => undefined,
      // Runs are not for a store that has to know of each object.
      keep: (buffer, start) => store.keep(buffer, start, start + readUint32(buffer, start)),
      cut: (run, objects) => store.cut(run, objects),
      keepLarge: (begin, bodyBytes) => store.keepLarge(begin, bodyBytes),
      release: () => undefined,
      rememberSession: (session, memory) => {
        this.toldRuns += memory.runs.length
        tell(() => void this.#sessions.set(session, { ...memory, pastRuns: memory.runs.length }))
      },
      changeSession: (session, change) => {
        this.toldRuns += change.added.length
        tell(() => this.#changeSession(session, change))
      },
      commit,
      compact: () => undefined,
      close: async () => commit(),
    }
  }

  /** What a session was answered and may not know. */
  answersOf(session: string): [from: number, to: number][] {
    return (this.#sessions.get(session)?.runs ?? []).map(({ from, to }) => [from, to])
  }

  /** How many copies are left. */
  get copies(): number {
    return [...this.#places].reduce((sum, { copies }) => sum + copies.length, 0)
  }

  #changeSession(session: string, { isPastKnown, forgotten, added, received }: SessionChange): void {
    const before = this.#sessions.get(session) ?? { runs: [], received: undefined, pastRuns: 0 }
    const past = isPastKnown ? [] : before.runs.slice(0, before.pastRuns)
    const answers = before.runs.slice(before.pastRuns + forgotten)
    if (forgotten > before.runs.length - before.pastRuns) throw new Error('More is forgotten than there was.')
    const runs = [...past, ...answers, ...added]
    this.#sessions.set(session, { runs, received: received ?? before.received, pastRuns: past.length })
  }

  #recover({ groupSet, place, remembered }: Recovery): void {
    for (const [group, setting] of this.#groups) groupSet(group, setting)
    for (const { copies, ...where } of this.#places) {
      for (const copy of copies) place({ ...where, ...copy, kind: 'produce', copies: 1 }, senderOf(where.payload))
    }
    for (const where of this.#broadcasts.values()) {
      place(
        {
          ...where,
          kind: 'broadcast',
          attempt: 0,
          copies: 1,
          session: undefined,
          isSeen: false,
          deadLetter: undefined,
        } satisfies KeptPlace<StoredObject>,
        undefined,
      )
    }
    for (const [session, { runs, received }] of this.#sessions) remembered(session, runs, received)
  }

  #journal(tell: (what: () => void) => void): BrokerJournal<StoredObject> {
    return {
      queued: (payload, group, groupIndex, order, count) =>
        tell(() => {
          const copies = Array.from({ length: count }, () => ({ attempt: 1, session: undefined, isSeen: false }))
          this.#places.add({ payload, group, groupIndex, order, copies, deadLetter: undefined })
        }),
      leased: (payload, group, attempt, session, order) =>
        tell(() => {
          this.#copy(payload, group, order, attempt, undefined).copy.session = session
        }),
      seen: (payload, group, attempt, session, order) =>
        tell(() => {
          this.#copy(payload, group, order, attempt, session).copy.isSeen = true
        }),
      returned: (payload, group, attempt, session, isSeen, nextAttempt, order) =>
        tell(() => {
          const { copy } = this.#copy(payload, group, order, attempt, session, isSeen)
          copy.session = undefined
          copy.isSeen = false
          copy.attempt = nextAttempt
        }),
      deadLettered: (payload, group, attempt, session, isSeen, dead, deadOrder, order) =>
        tell(() => {
          const { groupIndex } = this.#remove(payload, group, order, attempt, session, isSeen)
          const copies = [{ attempt: 1, session: undefined, isSeen: false }]
          this.#places.add({ payload, group: dead, groupIndex, order: deadOrder, copies, deadLetter: undefined })
        }),
      died: (payload, dead, deadOrder, deadLetter) =>
        tell(() => {
          this.#copy(payload, dead, deadOrder, 1, undefined).place.deadLetter = deadLetter
        }),
      acknowledged: (payload, group, attempt, session, isSeen, order) =>
        tell(() => void this.#remove(payload, group, order, attempt, session, isSeen)),
      dropped: (payload, group, attempt, copies, order) =>
        tell(() => {
          for (let left = copies; left > 0; left--) this.#remove(payload, group, order, attempt, undefined)
        }),
      retained: (payload, group, groupIndex, order) =>
        tell(() => void this.#broadcasts.set(group, { payload, group, groupIndex, order })),
      cleared: (_payload, group) => tell(() => void this.#broadcasts.delete(group)),
      groupSet: (group, setting) =>
        tell(() => {
          this.#groups.delete(group)
          if (setting.isPaused || setting.policy !== undefined) this.#groups.set(group, setting)
        }),
    }
  }

  #remove(
    payload: StoredObject,
    group: string,
    order: number,
    attempt: number,
    session: string | undefined,
    isSeen = false,
  ): Place {
    const { place, copy } = this.#copy(payload, group, order, attempt, session, isSeen)
    place.copies.splice(place.copies.indexOf(copy), 1)
    if (place.copies.length === 0) this.#places.delete(place)
    return place
  }

  #copy(
    payload: StoredObject,
    group: string,
    order: number,
    attempt: number,
    session: string | undefined,
    isSeen = false,
  ) {
    for (const place of this.#places) {
      if (place.payload !== payload || place.group !== group || place.order !== order) continue
      const copy = place.copies.find(
        (other) => other.attempt === attempt && other.session === session && other.isSeen === isSeen,
      )
      if (copy !== undefined) return { place, copy }
    }
    throw new Error(`The broker tells of a copy that there is not: ${group}, attempt ${attempt}, of ${session}.`)
  }
}

function senderOf(object: StoredObject): Sender {
  const { buffer, start } = 'begin' in object ? { buffer: object.begin, start: 0 } : (object.find() ?? nowhere)
  return { source: readSource(buffer, start), sequence: readSequence(buffer, start) }
}

const nowhere = { buffer: Buffer.alloc(24), start: 0 }
