import type { Core } from './core.ts'
import type { Payload } from './ports.ts'

/** All payloads that the core refers to; one that several places refer to comes several times. */
export function* keptPayloads({ directory, sessions, absent }: Core): Generator<Payload> {
  for (const { ready, last } of directory.groups.values()) {
    for (const { payload } of ready.everything()) yield payload
    if (last !== undefined) yield last.parcel.payload
  }
  for (const leases of absent.values()) for (const { payload } of leases) yield payload
  for (const { leases, reclaimed, earlier, backlog, held } of sessions.values()) {
    for (const [, { payload }] of leases) yield payload
    for (const { payload } of reclaimed.values()) yield payload
    for (const { payload } of earlier ?? []) yield payload
    for (const { parcel } of backlog) yield parcel.payload
    for (const line of held.values()) for (const { payload } of line) yield payload
  }
}
