import type { BrokerJournal, KeptPlace } from '../../src/core/journal.ts'
import type { Delivery, Payload } from '../../src/core/ports.ts'

/** One object, or a run of them with ids that follow each other. */
export interface ModelPayload {
  bytes: number
  objects: number
  /** Of the first. */
  id: number
}

/** What the broker gives back is what it was given. */
export function asModelPayload(payload: Payload): ModelPayload {
  if (isModelPayload(payload)) return payload
  throw new Error('The broker was not given this payload.')
}

function isModelPayload(payload: Payload): payload is ModelPayload {
  return 'id' in payload
}

/** A run seen as what it is made of: one object after another, each with its own sequence, order and lease number. */
export class ModelRuns {
  private readonly singles: ModelPayload[] = []

  /** The next object; its id is the number of those before. */
  add(bytes: number): ModelPayload {
    const single = { bytes, objects: 1, id: this.singles.length }
    this.singles.push(single)
    return single
  }

  /** A payload for objects that follow each other: the object itself if it is one. */
  payloadOf(objects: readonly ModelPayload[]): ModelPayload {
    const first = this.single(objects[0]?.id ?? 0)
    if (objects.length === 1) return first
    return { bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0), objects: objects.length, id: first.id }
  }

  single(id: number): ModelPayload {
    const single = this.singles[id]
    if (single === undefined) throw new Error(`there is no object ${id}`)
    return single
  }

  cut(run: ModelPayload, objects: number): ModelPayload {
    if (objects < 1 || objects >= run.objects) throw new Error(`${objects} of ${run.objects} objects cannot be cut off`)
    const part = this.payloadOf(this.objectsOf(run).slice(0, objects))
    run.id += objects
    run.objects -= objects
    run.bytes -= part.bytes
    return part
  }

  objectsOf({ id, objects }: ModelPayload): ModelPayload[] {
    return Array.from({ length: objects }, (_, index) => this.single(id + index))
  }

  deliveriesOf(delivery: Delivery<ModelPayload>): Delivery<ModelPayload>[] {
    const { leaseNumber } = delivery
    return this.objectsOf(delivery.payload).map((payload, index) => ({
      ...delivery,
      payload,
      leaseNumber: leaseNumber < 0 ? leaseNumber : leaseNumber + index,
    }))
  }

  placesOf(places: Iterable<KeptPlace>): KeptPlace<ModelPayload>[] {
    return [...places].flatMap((place) =>
      this.objectsOf(asModelPayload(place.payload)).map((payload, index) => ({
        ...place,
        payload,
        order: place.order + index,
      })),
    )
  }

  /** A journal that is told of each object by itself. */
  journalOf(journal: BrokerJournal<ModelPayload>): BrokerJournal<ModelPayload> {
    const each = (run: ModelPayload, tell: (payload: ModelPayload, index: number) => void): void =>
      this.objectsOf(run).forEach(tell)
    return {
      queued: (run, group, groupIndex, order, copies) =>
        each(run, (payload, index) => journal.queued(payload, group, groupIndex, order + index, copies)),
      leased: (run, group, attempt, session, order) =>
        each(run, (payload, index) => journal.leased(payload, group, attempt, session, order + index)),
      seen: (run, group, attempt, session, order) =>
        each(run, (payload, index) => journal.seen(payload, group, attempt, session, order + index)),
      returned: (run, group, attempt, session, isSeen, nextAttempt, order) =>
        each(run, (payload, index) =>
          journal.returned(payload, group, attempt, session, isSeen, nextAttempt, order + index),
        ),
      deadLettered: (run, group, attempt, session, isSeen, dead, deadOrder, order) =>
        each(run, (payload, index) =>
          journal.deadLettered(payload, group, attempt, session, isSeen, dead, deadOrder + index, order + index),
        ),
      died: (run, dead, deadOrder, deadLetter) =>
        each(run, (payload, index) => journal.died(payload, dead, deadOrder + index, deadLetter)),
      acknowledged: (run, group, attempt, session, isSeen, order) =>
        each(run, (payload, index) => journal.acknowledged(payload, group, attempt, session, isSeen, order + index)),
      dropped: (run, group, attempt, copies, order) =>
        each(run, (payload, index) => journal.dropped(payload, group, attempt, copies, order + index)),
      retained: (run, group, groupIndex, order) =>
        each(run, (payload, index) => journal.retained(payload, group, groupIndex, order + index)),
      cleared: (run, group, order) => each(run, (payload, index) => journal.cleared(payload, group, order + index)),
      groupSet: (group, setting) => journal.groupSet(group, setting),
    }
  }
}
