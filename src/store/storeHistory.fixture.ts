import fc from 'fast-check'
import type { GroupSetting } from '../core/ports.ts'
import type { ReceivedFrames } from './store.ts'
import type { Place, StoreWitness, Witnessed } from './storeWitness.fixture.ts'

/** One thing that happens: what, to which of those that it can happen to, and how much of it. */
export type Step = readonly [what: number, which: number, amount: number]

const GROUPS = ['trainers', 'workers', 'évaluation', 'g']
const SESSIONS = ['a'.repeat(22), 'b'.repeat(22), 'session-3']

/** Random histories; most steps are such that objects come and go. */
export function arbitrarySteps(maxLength: number): fc.Arbitrary<Step[]> {
  return fc.array(fc.tuple(fc.nat(99), fc.nat(9_999), fc.nat(9_999)), { maxLength, size: 'max' })
}

/** Lets one thing happen, if there is anything that it can happen to. */
export function happen(witness: StoreWitness, [what, which, amount]: Step): void {
  const pair = (isMeant: (place: Place, one: Witnessed) => boolean) => pick(placesOf(witness, isMeant), which)
  const held = pick(
    witness.objects.filter((one) => one.isNeeded && one.places.length === 0),
    which,
  )
  if (what < 20) produce(witness, witness.keep(sizeOf(amount)), which)
  else if (what < 24) witness.keep(sizeOf(amount))
  else if (what < 28 && held !== undefined) produce(witness, held, which)
  else if (what < 30 && held !== undefined) witness.unref(held)
  else if (what < 36) broadcast(witness, which, amount)
  else if (what < 56) {
    const [one, place] = pair((copies) => copies.kind === 'produce' && copies.session === undefined) ?? []
    if (one !== undefined && place !== undefined) witness.lease(one, place, SESSIONS[amount % 3] ?? '')
  } else if (what < 80) {
    const [one, place] = pair((copies) => copies.session !== undefined) ?? []
    if (one !== undefined && place !== undefined) endLease(witness, one, place, what)
  } else if (what < 86) {
    const [one, place] = pair((copies) => copies.kind === 'produce' && copies.session === undefined) ?? []
    if (one !== undefined && place !== undefined) witness.drop(one, place, 1 + (amount % place.copies))
  } else if (what < 90) {
    const one = pick(
      witness.objects.filter(({ isNeeded, places }) => isNeeded && places.length > 0),
      which,
    )
    if (one !== undefined) witness.unref(one)
  } else if (what < 92) witness.answer(SESSIONS[which % 3] ?? '', answersOf(amount), receivedFrom(which, amount))
  else if (what < 94) changeAnswers(witness, SESSIONS[which % 3] ?? '', which, amount)
  else if (what < 95) witness.store.takeSource()
  else if (what < 96) witness.set(GROUPS[which % 4] ?? '', settingOf(amount))
  else if (what < 98) {
    const [one, place] = pair(({ kind }) => kind === 'broadcast') ?? []
    if (one !== undefined && place !== undefined) witness.clear(one, place)
  } else witness.compact(({ id, places }) => which % 2 === 0 && places.length === 0 && id % 2 === 0)
}

function produce(witness: StoreWitness, one: Witnessed, which: number): void {
  const groups = GROUPS.slice(which % 3, (which % 3) + 1 + (which % 7 === 0 ? 1 : 0))
  for (const [index, group] of groups.entries()) witness.queue(one, group, index, which % 5 === 0 ? 3 : 1)
  // A large part of what is queued is needed by its places only.
  if (which % 4 !== 0) one.isNeeded = false
}

function broadcast(witness: StoreWitness, which: number, amount: number): void {
  const one = witness.keep(sizeOf(amount))
  witness.broadcast(one, GROUPS[which % 4] ?? '', 0)
  if (which % 3 === 0) witness.broadcast(one, GROUPS[(which + 1) % 4] ?? '', 1)
  if (which % 5 !== 0) one.isNeeded = false
}

function endLease(witness: StoreWitness, one: Witnessed, place: Place, what: number): void {
  if (what < 70) witness.acknowledge(one, place)
  else if (what < 73) witness.giveBack(one, place, place.attempt)
  else if (what < 75 || place.group.endsWith('.dead')) witness.giveBack(one, place, place.attempt + 1)
  else if (what < 78 && !place.isSeen) witness.see(one, place)
  else witness.deadLetter(one, place)
}

function placesOf(
  { objects }: StoreWitness,
  isMeant: (place: Place, one: Witnessed) => boolean,
): (readonly [Witnessed, Place])[] {
  return objects.flatMap((one) =>
    one.places.filter((place) => isMeant(place, one)).map((place) => [one, place] as const),
  )
}

function pick<T>(values: readonly T[], which: number): T | undefined {
  return values[which % Math.max(1, values.length)]
}

/** Mostly small; some fill a segment with few others. */
function sizeOf(amount: number): number {
  return amount % 17 === 0 ? 60_000 + amount : 28 + (amount % 400)
}

function settingOf(amount: number): GroupSetting {
  return {
    isPaused: amount % 2 === 0,
    policy: amount % 3 === 0 ? undefined : { maxConsumables: amount, overflow: 'reject' },
  }
}

function receivedFrom(which: number, amount: number): ReceivedFrames | undefined {
  return which % 4 < 2 ? undefined : { epoch: 1 + (which % 1_000), frames: amount * 0x1_0000_0000 + which }
}

/** Much is added now and then, so that it does not fit in one value. */
function changeAnswers(witness: StoreWitness, session: string, which: number, amount: number): void {
  // A relay tells of a session as a whole before it tells of changes.
  if (!witness.added.has(session) && witness.answers.has(session)) witness.answer(session, answersOf(amount))
  const added = Array.from({ length: which % 5 === 0 ? 60 : which % 3 }, (_, index) => ({
    from: amount * 100 + 2 * index,
    to: amount * 100 + 2 * index,
    memberCounts: [index, amount].slice(0, 1 + (amount % 2)),
  }))
  witness.changeAnswers(session, added, amount % 40, which % 7 === 0)
}

function answersOf(amount: number): { from: number; to: number; memberCounts: number[] }[] {
  return Array.from({ length: amount % 4 }, (_, index) => {
    const from = amount + 1_000 * index
    return { from, to: from + (amount % 900), memberCounts: [index, amount].slice(0, 1 + (amount % 2)) }
  })
}
