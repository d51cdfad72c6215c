import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeadLetterName } from '../../core/groupName.ts'
import type { KeptPlace } from '../../core/journal.ts'
import { readSentAt } from '../../wire/objectHeader.ts'
import type { RecoveredObject } from '../log/recoveredObjects.ts'
import { BodyFolder } from '../spool/bodyFolder.ts'
import { folderNames } from './storeFolder.ts'
import { StoreReader } from './storeReader.ts'

/** What a store keeps of one group. */
export interface StoredGroup {
  /** Copies that wait in the queue. */
  waiting: number
  /** Copies that a member has and has not acknowledged. */
  leased: number
  /** Of all of these; an object in several copies counts once. */
  bytes: number
  /** When the first of the queue was sent, by the clock of its sender. */
  oldest: Date | undefined
  /** Whether it is where objects of another group go that nobody took. */
  readonly isDead: boolean
  lastBroadcast: { readonly bytes: number; readonly sentAt: Date } | undefined
}

/** What {@link inspectStore} found. */
export interface StoreContent {
  /** The name of the relay that the store belongs to; `undefined` if none has kept anything yet. */
  readonly relay: string | undefined
  /** Whether a relay runs with it now. */
  readonly isInUse: boolean
  readonly groups: Readonly<Record<string, Readonly<StoredGroup>>>
  /** What the files take on the disk. */
  readonly files: { readonly dataBytes: number; readonly bodyBytes: number; readonly bodies: number }
}

/** A place in the log, and where to read what is in it. */
export interface FoundPlace extends Omit<KeptPlace<RecoveredObject>, 'payload'> {
  readonly object: RecoveredObject
  readonly bytes: number
}

/** Tells what is in a store, beside a relay that runs with it or without one; nothing is changed. */
export async function inspectStore(dir: string): Promise<StoreContent> {
  const reader = await StoreReader.open(dir)
  try {
    const groups = new Map<string, StoredGroup>()
    const firsts = new Map<string, FoundPlace>()
    for (const place of placesOf(reader)) {
      count(groupIn(groups, place.group), place, reader)
      const first = firsts.get(place.group)
      if (place.kind === 'produce' && (first === undefined || place.order < first.order)) firsts.set(place.group, place)
    }
    for (const [group, { object }] of firsts) groupIn(groups, group).oldest = sentAtOf(object, reader)
    return {
      relay: reader.log?.identity.relayName,
      isInUse: reader.isInUse,
      // fromEntries defines own properties, so that a group may be called __proto__.
      groups: Object.fromEntries([...groups].sort(([one], [other]) => (one < other ? -1 : 1))),
      files: await filesOf(reader.folder),
    }
  } finally {
    await reader.close()
  }
}

/** All that is kept, in the order of the log. */
export function* placesOf({ log }: StoreReader): Generator<FoundPlace> {
  for (const { payload, ...place } of log?.objects.places((object) => object) ?? [])
    yield { ...place, object: payload, bytes: payload.body?.bytes ?? payload.bytes }
}

/** When an object was sent. */
export function sentAtOf(object: RecoveredObject, reader: StoreReader): Date {
  return new Date(readSentAt(reader.frame(object), 0))
}

function count(group: StoredGroup, { kind, session, copies, bytes, object }: FoundPlace, reader: StoreReader): void {
  if (kind === 'broadcast') {
    group.lastBroadcast = { bytes, sentAt: sentAtOf(object, reader) }
    return
  }
  if (session === undefined) group.waiting += copies
  else group.leased += copies
  group.bytes += bytes
}

function groupIn(groups: Map<string, StoredGroup>, name: string): StoredGroup {
  let group = groups.get(name)
  if (group === undefined) {
    const isDead = isDeadLetterName(name)
    group = { waiting: 0, leased: 0, bytes: 0, oldest: undefined, isDead, lastBroadcast: undefined }
    groups.set(name, group)
  }
  return group
}

async function filesOf(folder: string): Promise<StoreContent['files']> {
  let dataBytes = (await stat(join(folder, folderNames.data))).size
  for (const name of await readdir(join(folder, folderNames.segments))) {
    // The relay may delete one meanwhile.
    const found = await stat(join(folder, folderNames.segments, name)).catch(() => undefined)
    dataBytes += found?.size ?? 0
  }
  const bodies = await new BodyFolder(join(folder, folderNames.bodies), { isSynced: false }).list()
  const bodyBytes = [...bodies.values()].reduce((sum, bytes) => sum + bytes, 0)
  return { dataBytes, bodyBytes, bodies: bodies.size }
}
