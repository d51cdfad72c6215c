import { isGroupName } from '../../core/groupName.ts'
import { OBJECT_HEAD_BYTES, parseRoute, readSentAt } from '../../wire/objectHeader.ts'
import { type FoundPlace, placesOf } from './inspectStore.ts'
import { StoreReader } from './storeReader.ts'

/** An object in a store, as it was sent. */
export interface StoredCopy {
  readonly kind: 'broadcast' | 'produce'
  readonly group: string
  /** The number of its next delivery, or of the present one. */
  readonly attempt: number
  /** How many copies wait. */
  readonly copies: number
  /** Whether a member has it and has not acknowledged it. */
  readonly isLeased: boolean
  readonly sentAt: Date
  /** Of its encoding. */
  readonly bodyBytes: number
  /** Its encoding, in pieces; shorter than `bodyBytes` if the relay has deleted it meanwhile, since it was taken. */
  body(): AsyncIterable<Buffer>
}

/**
 * What a store keeps of one group, in the order of the queue; the last broadcast comes first. It is as of one moment, beside a
 * relay that runs with it or without one, and nothing is changed.
 */
export async function* exportGroup(dir: string, group: string): AsyncGenerator<StoredCopy> {
  const reader = await StoreReader.open(dir)
  try {
    const places = [...placesOf(reader)].filter((place) => place.group === group)
    places.sort(
      (one, other) => Number(other.kind === 'broadcast') - Number(one.kind === 'broadcast') || one.order - other.order,
    )
    for (const place of places) yield copyOf(place, reader)
  } finally {
    await reader.close()
  }
}

function copyOf({ object, kind, group, attempt, copies, session }: FoundPlace, reader: StoreReader): StoredCopy {
  const frame = reader.frame(object)
  const { destinationBytes } = parseRoute(frame, 0, frame.length, isGroupName)
  const inFrame = frame.subarray(OBJECT_HEAD_BYTES + destinationBytes)
  const large = object.body
  return {
    kind,
    group,
    attempt,
    copies,
    isLeased: session !== undefined,
    sentAt: new Date(readSentAt(frame, 0)),
    bodyBytes: large?.bytes ?? inFrame.length,
    async *body() {
      if (large === undefined) yield inFrame
      else yield* reader.body(large.number)
    },
  }
}
