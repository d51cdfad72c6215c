import type { Core } from './core.ts'
import type { Payload } from './ports.ts'

/** All payloads that the core refers to; one that several places refer to comes several times. */
export function* keptPayloads({ registry, sessions, absent }: Core): Generator<Payload> {
  for (const { queue, retained } of registry.groups.values()) {
    for (const { payload } of queue.everything()) yield payload
    if (retained !== undefined) yield retained.shared.payload
  }
  for (const leases of absent.values()) for (const { entry } of leases) yield entry.payload
  for (const { leases, reclaimed, earlier, backlog, blockedSends } of sessions.values()) {
    for (const [, { payload }] of leases) yield payload
    for (const { entry } of reclaimed.values()) yield entry.payload
    for (const { entry } of earlier ?? []) yield entry.payload
    for (const { shared } of backlog) yield shared.payload
    for (const sends of blockedSends.values()) for (const { payload } of sends) yield payload
  }
}
