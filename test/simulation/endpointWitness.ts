import { deadLetterName } from '../../src/core/groupName.ts'
import { RecordType, readSequenceOf } from '../../src/endpoint/records.ts'
import {
  type ObjectContext,
  readAccepted,
  readContext,
  readCountOfGroup,
  readJson,
  readRejected,
} from '../../src/wire/controlFrames.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'
import { readUint32 } from '../../src/wire/integers.ts'
import { isProduced, readAttempt, readSentAt } from '../../src/wire/objectHeader.ts'
import { RouteCache } from '../../src/wire/routeCache.ts'
import type { Ledger, SentObject } from './ledger.ts'
import type { RecordWitness } from './machine.ts'

const noContext: ObjectContext = { groupIndex: 0, skipped: 0, isDead: false }

/** What one session at the relay has brought of the broadcasts of one group. */
interface BroadcastsReceived {
  readonly group: string
  readonly run: number
  readonly ids: Set<number>
  skipped: number
}

/** Reads what the I/O tells one endpoint's program, and checks it against the ledger. */
export class EndpointWitness implements RecordWitness {
  /** Produced objects asked for, by group; `Infinity` where nobody can say. */
  readonly #asked = new Map<string, number>()
  /** The run of the relay that the present session is of. */
  run = 0
  /** Whether its program takes the newest objects only, and discards the others. */
  discards = false
  sessions = 0
  readonly #serial: number
  readonly #groups: ReadonlySet<string>
  readonly #ledger: Ledger
  readonly #routes = new RouteCache(() => true)
  /** By sequence: what was sent. */
  readonly #sent: SentObject[] = []
  readonly #unanswered = new Map<number, SentObject>()
  /** The latest object by producer, kind and group. */
  readonly #latest = new Map<string, number>()
  readonly #arrived = new Map<string, number>()
  #broadcasts = new Map<string, BroadcastsReceived>()
  readonly #allBroadcasts: BroadcastsReceived[] = []
  #context: ObjectContext | undefined
  #returned = false

  readonly #note: (what: string) => void
  /** Whether the relay knows what it knew when it is started again. */
  readonly #relayRemembers: boolean

  constructor(
    serial: number,
    groups: readonly string[],
    ledger: Ledger,
    relayRemembers: boolean,
    note: (what: string) => void,
  ) {
    this.#note = note
    this.#relayRemembers = relayRemembers
    this.#serial = serial
    this.#groups = new Set(groups)
    this.#ledger = ledger
  }

  /** The endpoint's program has sent this under the next sequence. */
  sent(object: SentObject): void {
    this.#unanswered.set(this.#sent.length, object)
    this.#sent.push(object)
  }

  /** A NOTIFY of the program has come to the I/O. */
  asks(buffer: Buffer, start: number, end: number): void {
    const { group, count } = readCountOfGroup(buffer, start, end)
    this.#asked.set(group, (this.#asked.get(group) ?? 0) + (count === -1 ? Number.POSITIVE_INFINITY : count))
  }

  /** So many objects of a group were asked for and have not come; `Infinity` where nobody can say. */
  outstanding(group: string): number {
    return (this.#asked.get(group) ?? 0) - (this.#arrived.get(group) ?? 0)
  }

  told(buffer: Buffer, start: number, end: number, run: number): void {
    switch (buffer[start + 4]) {
      case RecordType.STATE:
        this.#state(readJson(buffer, start, end), run)
        return
      case FrameType.ACCEPTED: {
        const { from, to } = readAccepted(buffer, start, end)
        for (let sequence = from; sequence <= to; sequence++) this.#answered(sequence, 'accepted')
        return
      }
      case FrameType.REJECTED:
        this.#answered(readRejected(buffer, start, end).sequence, 'rejected')
        return
      case RecordType.SUPERSEDED:
        this.#answered(readSequenceOf(buffer, start), 'superseded')
        return
      case FrameType.CONTEXT:
        this.#context = readContext(buffer, start, end)
        return
      case RecordType.RETURNED:
        this.#returned = true
        return
      case FrameType.OBJECT:
      case FrameType.STREAM_BEGIN:
        if (!this.#returned)
          for (let at = start; at < end; at += readUint32(buffer, at))
            this.#object(buffer, at, at + readUint32(buffer, at))
        this.#returned = false
    }
  }

  #state({ state, resumed }: Readonly<Record<string, unknown>>, run: number): void {
    if (state !== 'connected' || resumed === true) return
    this.#ledger.sessionBegan(this.#serial)
    const isFirst = this.sessions++ === 0
    if (!isFirst) {
      for (const object of this.#unanswered.values()) {
        object.sentAgain = true
        object.mayBeDouble ||= run !== this.run && !this.#relayRemembers
      }
    }
    this.run = run
    this.#latest.clear()
    this.#broadcasts = new Map()
  }

  #answered(sequence: number, answer: 'accepted' | 'rejected' | 'superseded'): void {
    const object = this.#unanswered.get(sequence)
    if (object === undefined) {
      this.#ledger.break(`e${this.#serial} was told twice, or of what it never sent: ${answer} ${sequence}`)
      return
    }
    this.#unanswered.delete(sequence)
    object.answer = answer
    object.acceptedRun = this.run
  }

  #object(buffer: Buffer, start: number, end: number): void {
    const { groupIndex, skipped, isDead, deadLetter } = this.#context ?? noContext
    this.#context = undefined
    const name = this.#routes.read(buffer, start, end).groups[groupIndex] ?? ''
    const group = isDead ? deadLetterName(name) : name
    const object = this.#ledger.find(readSentAt(buffer, start), `e${this.#serial}`)
    if (object === undefined) return
    if (!this.#groups.has(group) || !object.groups.includes(name)) {
      this.#ledger.break(`e${this.#serial} got object ${object.id} of ${group}, where it does not belong`)
    }
    if (isDead !== (deadLetter !== undefined))
      this.#ledger.break(`e${this.#serial} got object ${object.id} of ${group} and is not told how it died`)
    if (deadLetter !== undefined) this.#ledger.checkDeath(object, name, deadLetter)
    const produced = isProduced(buffer, start)
    if (produced) this.#produced(object, group, readAttempt(buffer, start))
    else this.#broadcast(object, group, skipped)
  }

  #produced(object: SentObject, group: string, attempt: number): void {
    const arrivedBefore = this.#ledger.arrived(object, group, this.#serial)
    this.#ledger.checkAttempt(object, group, attempt, this.#serial)
    if (this.discards) this.#ledger.discardable(object, group)
    const count = (this.#arrived.get(group) ?? 0) + 1
    this.#arrived.set(group, count)
    const asked = this.#asked.get(group) ?? 0
    if (count > asked) this.#ledger.break(`e${this.#serial} asked for ${asked} objects of ${group} and got ${count}`)
    if (attempt > 1 || arrivedBefore || group.endsWith('.dead') || this.#ledger.mayHaveGoneBack(object, group)) return
    this.#checkOrder(object, `produce ${object.producer} ${group}`)
  }

  #broadcast(object: SentObject, group: string, skipped: number): void {
    this.#note(`e${this.#serial} gets broadcast ${object.id} of ${group}, skipped ${skipped}`)
    let received = this.#broadcasts.get(group)
    if (received === undefined) {
      received = { group, run: this.run, ids: new Set(), skipped: 0 }
      this.#broadcasts.set(group, received)
      this.#allBroadcasts.push(received)
    }
    // What it missed before the first is none of its business.
    if (received.ids.size > 0 && received.ids.has(object.id) && !object.mayBeDouble)
      this.#ledger.break(`e${this.#serial} got broadcast ${object.id} of ${group} twice`)
    received.ids.add(object.id)
    received.skipped += skipped
    this.#checkOrder(object, `broadcast ${object.producer} ${group}`)
  }

  #checkOrder(object: SentObject, lane: string): void {
    const latest = this.#latest.get(lane) ?? 0
    if (object.id < latest && !object.sentAgain) {
      this.#ledger.break(`e${this.#serial} got object ${object.id} behind ${latest}: ${lane}`)
    }
    this.#latest.set(lane, Math.max(latest, object.id))
  }

  /** Whether the present session has brought this broadcast. */
  hasBroadcast(group: string, id: number): boolean {
    return this.#broadcasts.get(group)?.ids.has(id) === true
  }

  /** At the end: of the broadcasts between two that came, all others came too, or were counted as skipped. */
  checkBroadcasts(): void {
    for (const { group, run, ids, skipped } of this.#allBroadcasts) {
      const spans = new Map<number, { first: number; last: number }>()
      for (const id of ids) {
        const { producer = 0, sentAgain = false } = this.#ledger.objects.get(id) ?? {}
        // What is sent again in another session has lost its place.
        if (sentAgain) continue
        const span = spans.get(producer)
        if (span === undefined) spans.set(producer, { first: id, last: id })
        else spans.set(producer, { first: Math.min(span.first, id), last: Math.max(span.last, id) })
      }
      const missing: number[] = []
      for (const object of this.#ledger.objects.values()) {
        const { id, kind, groups, answer, acceptedRun, sentAgain, producer } = object
        const span = spans.get(producer)
        // What is not retained is not for who joins after it, though an older one may be.
        if (kind !== 'broadcast' || span === undefined || id <= span.first || id >= span.last || ids.has(id)) continue
        if (answer === 'accepted' && acceptedRun === run && !sentAgain && groups.includes(group)) missing.push(id)
      }
      if (missing.length <= skipped) continue
      this.#ledger.break(
        `e${this.#serial} missed ${missing.length} broadcasts of ${group} and was told of ${skipped}: ${missing.slice(0, 20).join(', ')}`,
      )
    }
  }
}
