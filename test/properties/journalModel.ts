import type { BrokerJournal, KeptPlace } from '../../src/core/journal.ts'
import type { GroupSetting, Payload } from '../../src/core/ports.ts'
import type { DeadLetter } from '../../src/deadLetter.ts'

interface Place {
  readonly group: string
  readonly groupIndex: number
  readonly order: number
  /** So many copies wait, by attempt. */
  readonly waiting: Map<number, number>
  /** So many copies are on lease, by session and attempt. */
  readonly leased: Map<string, number>
  /** How it died. */
  deadLetter: DeadLetter | undefined
}

/** What one replays from a journal: every call has to make sense, and what remains is where everything is. */
export class JournalModel<P extends Payload> implements BrokerJournal<P> {
  private readonly places = new Map<P, Map<string, Place>>()
  private readonly last = new Map<string, string>()
  private readonly lastPayloads = new Map<string, P>()
  /** What is set of groups. */
  readonly groups: Map<string, GroupSetting> = new Map()

  /** Begins anew with what was kept. */
  restore(kept: Iterable<KeptPlace<P>>): void {
    this.places.clear()
    this.last.clear()
    this.lastPayloads.clear()
    for (const { payload, kind, group, groupIndex, order, attempt, copies, session, isSeen, deadLetter } of kept) {
      if (kind === 'broadcast') {
        this.retained(payload, group, groupIndex, order)
        continue
      }
      const place = this.obtain(payload, group, groupIndex, order)
      if (session === undefined) change(place.waiting, attempt, copies)
      else change(place.leased, leaseKey(session, attempt, isSeen), copies)
      place.deadLetter = deadLetter
    }
  }

  queued(payload: P, group: string, groupIndex: number, order: number, copies: number): void {
    must(!this.placesOf(payload).has(placeKey(group, order)), 'an object is queued in a place once')
    change(this.obtain(payload, group, groupIndex, order).waiting, 1, copies)
  }

  leased(payload: P, group: string, attempt: number, session: string, order: number): void {
    const { waiting, leased } = this.find(payload, group, order)
    change(waiting, attempt, -1)
    change(leased, leaseKey(session, attempt, false), 1)
  }

  seen(payload: P, group: string, attempt: number, session: string, order: number): void {
    const { leased } = this.find(payload, group, order)
    change(leased, leaseKey(session, attempt, false), -1)
    change(leased, leaseKey(session, attempt, true), 1)
  }

  returned(
    payload: P,
    group: string,
    attempt: number,
    session: string,
    isSeen: boolean,
    nextAttempt: number,
    order: number,
  ): void {
    const { waiting, leased } = this.find(payload, group, order)
    const isRest = group.endsWith('.dead') && nextAttempt === 1
    must(nextAttempt === attempt || nextAttempt === attempt + 1 || isRest, 'an attempt is counted or not')
    change(leased, leaseKey(session, attempt, isSeen), -1)
    change(waiting, nextAttempt, 1)
  }

  deadLettered(
    payload: P,
    group: string,
    attempt: number,
    session: string,
    isSeen: boolean,
    dead: string,
    deadOrder: number,
    order: number,
  ): void {
    const place = this.find(payload, group, order)
    change(place.leased, leaseKey(session, attempt, isSeen), -1)
    this.forgetIfEmpty(payload, place)
    change(this.obtain(payload, dead, place.groupIndex, deadOrder).waiting, 1, 1)
  }

  died(payload: P, dead: string, deadOrder: number, deadLetter: DeadLetter): void {
    const place = this.find(payload, dead, deadOrder)
    must(place.deadLetter === undefined, 'an object dies once')
    place.deadLetter = deadLetter
  }

  acknowledged(payload: P, group: string, attempt: number, session: string, isSeen: boolean, order: number): void {
    const place = this.find(payload, group, order)
    change(place.leased, leaseKey(session, attempt, isSeen), -1)
    this.forgetIfEmpty(payload, place)
  }

  dropped(payload: P, group: string, attempt: number, copies: number, order: number): void {
    const place = this.find(payload, group, order)
    change(place.waiting, attempt, -copies)
    this.forgetIfEmpty(payload, place)
  }

  retained(payload: P, group: string, groupIndex: number, order: number): void {
    const facts = { payload, kind: 'broadcast', group, groupIndex, order, attempt: 1 } as const
    this.last.set(group, line({ ...facts, isSeen: false, deadLetter: undefined }, undefined))
    this.lastPayloads.set(group, payload)
  }

  cleared(payload: P, group: string, order: number): void {
    must(this.lastPayloads.get(group) === payload, 'what is cleared is the last broadcast')
    must(this.last.get(group)?.includes(` ${order} attempt`) === true, 'what is cleared is told by its order')
    this.last.delete(group)
    this.lastPayloads.delete(group)
  }

  groupSet(group: string, setting: GroupSetting): void {
    this.groups.delete(group)
    if (setting.isPaused || setting.policy !== undefined) this.groups.set(group, setting)
  }

  /** Told by the broker's output: nothing of it may be left. */
  released(payload: P): void {
    must(!this.places.has(payload), 'what is released has no place')
    must(![...this.lastPayloads.values()].includes(payload), 'what is released is no last broadcast')
  }

  /** Whether it is somewhere. */
  isKept(payload: P): boolean {
    return this.places.has(payload) || [...this.lastPayloads.values()].includes(payload)
  }

  /** All places, each as a line of text with its copies. */
  summary(): Map<string, number> {
    const sums = new Map<string, number>()
    for (const [payload, places] of this.places) {
      for (const place of places.values()) {
        const facts = { payload, kind: 'produce', ...place } as const
        for (const [attempt, copies] of place.waiting)
          sums.set(line({ ...facts, attempt, isSeen: false }, undefined), copies)
        for (const [key, copies] of place.leased) {
          const [attempt, session, isSeen] = key.split(' ')
          sums.set(line({ ...facts, attempt: Number(attempt), isSeen: isSeen === 'true' }, session), copies)
        }
      }
    }
    for (const text of this.last.values()) sums.set(text, 1)
    return sums
  }

  /** Throws unless `kept` is exactly what the journal was told. */
  compare(kept: Iterable<KeptPlace<P>>): void {
    const expected = this.summary()
    for (const [text, copies] of summarize(kept)) {
      must(expected.get(text) === copies, `the journal knows of ${copies} times ${text}`)
      expected.delete(text)
    }
    must(expected.size === 0, `the broker still has ${[...expected.keys()].join(', ')}`)
  }

  private placesOf(payload: P): Map<string, Place> {
    return this.places.get(payload) ?? new Map<string, Place>()
  }

  private obtain(payload: P, group: string, groupIndex: number, order: number): Place {
    const places = this.placesOf(payload)
    this.places.set(payload, places)
    const key = placeKey(group, order)
    const known = places.get(key)
    if (known !== undefined) return known
    const place: Place = { group, groupIndex, order, waiting: new Map(), leased: new Map(), deadLetter: undefined }
    places.set(key, place)
    return place
  }

  private find(payload: P, group: string, order: number): Place {
    const place = this.placesOf(payload).get(placeKey(group, order))
    if (place === undefined) throw new Error(`There is no ${JSON.stringify(payload)} at ${order} of ${group}.`)
    return place
  }

  private forgetIfEmpty(payload: P, { group, order, waiting, leased }: Place): void {
    if (waiting.size > 0 || leased.size > 0) return
    const places = this.placesOf(payload)
    places.delete(placeKey(group, order))
    if (places.size === 0) this.places.delete(payload)
  }
}

/** Kept places as lines of text, equal ones added up. */
export function summarize<P extends Payload>(kept: Iterable<KeptPlace<P>>): Map<string, number> {
  const sums = new Map<string, number>()
  for (const place of kept) {
    const text = line(place, place.session)
    sums.set(text, (sums.get(text) ?? 0) + place.copies)
  }
  return sums
}

type Facts<P extends Payload> = Omit<KeptPlace<P>, 'copies' | 'session'>

function line<P extends Payload>(place: Facts<P>, session: string | undefined): string {
  const { payload, kind, group, groupIndex, order, attempt, isSeen, deadLetter } = place
  const who = session === undefined ? '' : `${session} ${isSeen ? 'has seen it' : 'has it'}`
  const where = [kind, JSON.stringify(payload), group, groupIndex, order]
  return [...where, `attempt ${attempt}`, who, JSON.stringify(deadLetter) ?? ''].join(' ')
}

function placeKey(group: string, order: number): string {
  return `${order} ${group}`
}

function leaseKey(session: string, attempt: number, isSeen: boolean): string {
  return `${attempt} ${session} ${isSeen}`
}

function change<K>(counts: Map<K, number>, key: K, by: number): void {
  const count = (counts.get(key) ?? 0) + by
  must(count >= 0, `there are as many copies as were taken (${String(key)})`)
  if (count === 0) counts.delete(key)
  else counts.set(key, count)
}

function must(holds: boolean, rule: string): void {
  if (!holds) throw new Error(`It does not hold that ${rule}.`)
}
