import type { KeptPlace } from '../core/journal.ts'
import type { GroupSetting } from '../core/ports.ts'
import type { DeadLetter } from '../deadLetter.ts'
import { FrameType } from '../wire/frameTypes.ts'
import { writeUint32 } from '../wire/integers.ts'
import { OBJECT_HEAD_BYTES } from '../wire/objectHeader.ts'
import type {
  AcceptedRun,
  KeptFrame,
  LoadedFrame,
  ReceivedFrames,
  RememberedSession,
  Store,
  StoredObject,
} from './store.ts'

/** An OBJECT frame of which every byte tells which one it is. */
export function frameOf(id: number, bytes: number): Buffer {
  const frame = Buffer.alloc(Math.max(bytes, OBJECT_HEAD_BYTES + 4), (id % 250) + 1)
  writeUint32(frame, 0, frame.length)
  frame[4] = FrameType.OBJECT
  writeUint32(frame, OBJECT_HEAD_BYTES, id)
  return frame
}

/** The bytes of a kept frame, read from the store. */
export async function contentOf(frame: KeptFrame): Promise<Buffer> {
  const { buffer, start, end } = frame.find() ?? (await loaded(frame))
  return Buffer.from(buffer.subarray(start, end))
}

/** A frame that was read from the disk. */
export async function loaded(frame: KeptFrame): Promise<LoadedFrame> {
  const { reading, start, end } = frame.load()
  return { buffer: await reading, start, end }
}

/** Equal copies in one place, in words. */
export interface Place {
  readonly kind: 'broadcast' | 'produce'
  readonly group: string
  readonly groupIndex: number
  readonly order: number
  readonly attempt: number
  readonly session: string | undefined
  readonly isSeen: boolean
  readonly deadLetter: DeadLetter | undefined
  copies: number
}

/** One object that the store was given. */
export interface Witnessed {
  readonly id: number
  readonly content: Buffer
  readonly object: KeptFrame
  readonly places: Place[]
  /** Something beside its places needs it: its sender is held back, or a member has not got it yet. */
  isNeeded: boolean
}

/** What a store should tell after a restart, in an order of its own. */
export interface Knowledge {
  readonly places: readonly string[]
  readonly answers: readonly string[]
  readonly groups: readonly string[]
}

/**
 * Does to a store what a relay does, and knows what the store should know: each method is one thing that happens, told to the
 * journal and noted here in simple words.
 */
export class StoreWitness {
  readonly store: Store
  readonly objects: Witnessed[] = []
  readonly answers: Map<string, RememberedSession> = new Map()
  readonly groups: Map<string, GroupSetting> = new Map()
  /** How many of the runs of a session were added in this run of the relay, after it was told of as a whole. */
  readonly added: Map<string, number> = new Map()
  #orders = 1
  #ids = 1

  constructor(store: Store) {
    this.store = store
  }

  /** Goes on with a store that was opened again, of which this checks that it tells what it should, with every byte. */
  static async recover(store: Store): Promise<StoreWitness> {
    const witness = new StoreWitness(store)
    const places = new Map<KeptFrame, Place[]>()
    store.recover({
      groupSet: (group, setting) => witness.groups.set(group, setting),
      place: ({ payload, ...place }) => {
        if ('begin' in payload) throw new Error('A large object was recovered that nobody gave.')
        let { order } = place
        while (payload.objects > 1) places.set(store.cut(payload, 1), [{ ...place, order: order++ }])
        const known = places.get(payload)
        if (known === undefined) places.set(payload, [{ ...place, order }])
        else known.push({ ...place, order })
      },
      remembered: (session, runs, received) => witness.answers.set(session, { runs, received }),
    })
    for (const [object, placesOfIt] of places) {
      const content = await contentOf(object)
      const id = content.readUInt32LE(OBJECT_HEAD_BYTES)
      if (!content.equals(frameOf(id, content.length))) throw new Error(`Object ${id} was changed.`)
      const one: Witnessed = { id, content, object, places: [], isNeeded: false }
      witness.objects.push(one)
      witness.#ids = Math.max(witness.#ids, id + 1)
      for (const place of placesOfIt) {
        witness.#orders = Math.max(witness.#orders, place.order + 1)
        add(one, place)
      }
    }
    return witness
  }

  keep(bytes: number): Witnessed {
    const id = this.#ids++
    const content = frameOf(id, bytes)
    const before = Buffer.alloc(7, 0xff)
    const given = Buffer.concat([before, content, before])
    const object = this.store.keep(given, 7, 7 + content.length)
    given.fill(0xdd)
    const one: Witnessed = { id, content, object, places: [], isNeeded: true }
    this.objects.push(one)
    return one
  }

  queue(one: Witnessed, group: string, groupIndex = 0, copies = 1): void {
    const order = this.#orders++
    this.store.journal.queued(one.object, group, groupIndex, order, copies)
    add(one, { kind: 'produce', group, groupIndex, order, attempt: 1, copies, ...waiting, deadLetter: undefined })
  }

  /** Keeps an object that nothing but its place in a queue needs. */
  produce(bytes: number, group = 'g'): Witnessed {
    const one = this.keep(bytes)
    this.queue(one, group)
    one.isNeeded = false
    return one
  }

  /** One copy of what waits is given to a session, which takes it. */
  consume(one: Witnessed, session = 'a-session'): void {
    const waiting = one.places.find((place) => place.session === undefined)
    if (waiting === undefined) throw new Error('It does not wait.')
    this.lease(one, waiting, session)
    const lease = one.places.find((place) => place.session === session)
    if (lease !== undefined) this.acknowledge(one, lease)
  }

  lease(one: Witnessed, place: Place, session: string): void {
    this.store.journal.leased(one.object, place.group, place.attempt, session, place.order)
    add(one, { ...take(one, place, 1), copies: 1, session })
  }

  giveBack(one: Witnessed, place: Place, nextAttempt: number): void {
    this.store.journal.returned(
      one.object,
      place.group,
      place.attempt,
      place.session ?? '',
      place.isSeen,
      nextAttempt,
      place.order,
    )
    add(one, { ...take(one, place, 1), copies: 1, ...waiting, attempt: nextAttempt })
  }

  see(one: Witnessed, place: Place): void {
    this.store.journal.seen(one.object, place.group, place.attempt, place.session ?? '', place.order)
    add(one, { ...take(one, place, 1), copies: 1, isSeen: true })
  }

  deadLetter(one: Witnessed, place: Place): void {
    const order = this.#orders++
    const dead = `${place.group}.dead`
    const { group, attempt, session = '', isSeen } = place
    const deadLetter = deathOf(attempt, order)
    this.store.journal.deadLettered(one.object, group, attempt, session, isSeen, dead, order, place.order)
    this.store.journal.died(one.object, dead, order, deadLetter)
    add(one, { ...take(one, place, 1), ...waiting, copies: 1, group: dead, order, attempt: 1, deadLetter })
  }

  acknowledge(one: Witnessed, place: Place): void {
    this.store.journal.acknowledged(
      one.object,
      place.group,
      place.attempt,
      place.session ?? '',
      place.isSeen,
      place.order,
    )
    take(one, place, 1)
    this.releaseIfGone(one)
  }

  drop(one: Witnessed, place: Place, copies: number): void {
    this.store.journal.dropped(one.object, place.group, place.attempt, copies, place.order)
    take(one, place, copies)
    this.releaseIfGone(one)
  }

  broadcast(one: Witnessed, group: string, groupIndex = 0): void {
    const order = this.#orders++
    this.store.journal.retained(one.object, group, groupIndex, order)
    for (const other of [...this.objects]) {
      const last = other.places.find((place) => place.kind === 'broadcast' && place.group === group)
      if (last === undefined) continue
      take(other, last, 1)
      if (other !== one) this.releaseIfGone(other)
    }
    add(one, { kind: 'broadcast', group, groupIndex, order, attempt: 1, copies: 1, ...waiting, deadLetter: undefined })
  }

  clear(one: Witnessed, place: Place): void {
    this.store.journal.cleared(one.object, place.group, place.order)
    take(one, place, 1)
    this.releaseIfGone(one)
  }

  /** Nothing but its places needs it any more. */
  unref(one: Witnessed): void {
    one.isNeeded = false
    this.releaseIfGone(one)
  }

  answer(session: string, runs: readonly AcceptedRun[], received?: ReceivedFrames): void {
    this.store.rememberSession(session, { runs, received })
    this.added.delete(session)
    if (runs.length > 0 || received !== undefined) this.answers.set(session, { runs, received })
    else this.answers.delete(session)
  }

  /** Of a session that is remembered, some was added and some is needed no more. */
  changeAnswers(session: string, added: readonly AcceptedRun[], forgets: number, isPastKnown: boolean): void {
    const { runs = [], received } = this.answers.get(session) ?? {}
    const addedBefore = this.added.get(session) ?? 0
    const forgotten = Math.min(forgets, addedBefore)
    this.store.changeSession(session, { isPastKnown, forgotten, added, received: undefined })
    const past = isPastKnown ? [] : runs.slice(0, runs.length - addedBefore)
    const left = [...past, ...runs.slice(runs.length - addedBefore + forgotten), ...added]
    this.added.set(session, addedBefore - forgotten + added.length)
    if (left.length > 0 || received !== undefined) this.answers.set(session, { runs: left, received })
    else this.answers.delete(session)
  }

  /** `isForgotten`: what the relay forgets to say that it is kept, and must be kept nevertheless. */
  compact(isForgotten: (one: Witnessed) => boolean = () => false): void {
    const places = this.objects.flatMap((one) =>
      one.places.map((place): KeptPlace<StoredObject> => ({ ...place, payload: one.object })),
    )
    const kept = this.objects.filter((one) => !isForgotten(one)).map(({ object }) => object)
    this.store.compact([...kept, ...kept], places)
  }

  /** What should be there if the relay ended now. */
  get knowledge(): Knowledge {
    const places = this.objects.flatMap(({ id, content, places }) =>
      places.map((place) =>
        JSON.stringify({ id, bytes: content.length, ...place, session: place.session ?? null }, keys),
      ),
    )
    const answers = [...this.answers].map((one) => JSON.stringify(one))
    const groups = [...this.groups].map((one) => JSON.stringify(one))
    return { places: places.sort(), answers: answers.sort(), groups: groups.sort() }
  }

  /** This is what is set of a group now. */
  set(group: string, setting: GroupSetting): void {
    this.store.journal.groupSet(group, setting)
    this.groups.delete(group)
    if (setting.isPaused || setting.policy !== undefined) this.groups.set(group, setting)
  }

  releaseIfGone(one: Witnessed): void {
    if (one.isNeeded || one.places.length > 0) return
    this.store.release(one.object)
    this.objects.splice(this.objects.indexOf(one), 1)
  }
}

const keys = [
  ...['id', 'bytes', 'kind', 'group', 'groupIndex', 'order', 'attempt', 'session', 'isSeen', 'copies'],
  ...['deadLetter', 'reason', 'attempts', 'endpoint', 'name', 'diedAtMs', 'error', 'message', 'stack'],
]

/** Nobody has it on lease. */
const waiting = { session: undefined, isSeen: false } as const

/** Some are long, some say little. */
function deathOf(attempts: number, order: number): DeadLetter {
  const death: DeadLetter = {
    reason: 'failed',
    attempts,
    endpoint: 'e'.repeat(22),
    diedAtMs: 1_700_000_000_000 + order,
  }
  if (order % 2 === 0) return death
  return { ...death, name: `host:${order}`, error: { message: 'nö', stack: 'at '.repeat(order % 1_300) } }
}

/** A place as the store told it, or as it happened: equal ones are one. */
function add(one: Witnessed, added: Place): void {
  const { kind, group, order, attempt, session, isSeen, copies } = added
  const same = one.places.find(
    (other) =>
      other.kind === kind &&
      other.group === group &&
      other.order === order &&
      other.attempt === attempt &&
      other.session === session &&
      other.isSeen === isSeen,
  )
  if (same === undefined) one.places.push({ ...added })
  else same.copies += copies
}

function take(one: Witnessed, place: Place, copies: number): Place {
  place.copies -= copies
  if (place.copies === 0) one.places.splice(one.places.indexOf(place), 1)
  return place
}

/** What a store that was opened again tells. */
export function recoveredPlaces(store: Store): KeptPlace<StoredObject>[] {
  const places: KeptPlace<StoredObject>[] = []
  store.recover({ groupSet: () => {}, place: (place) => void places.push(place), remembered: () => {} })
  return places
}

/** One of an object's places, for a call with others behind it. */
export function placeAt<T>(places: readonly T[], index: number): [T] {
  const place = places[index]
  if (place === undefined) throw new Error('It has no such place.')
  return [place]
}

/** The only place of an object, and all copies there. */
export function onlyPlaceOf<T extends { readonly copies: number }>(places: readonly T[]): [T, number] {
  const [place] = placeAt(places, 0)
  return [place, place.copies]
}
