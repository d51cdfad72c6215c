import { isDeadLetterName } from '../core/groupName.ts'
import type { KeptPlace } from '../core/journal.ts'
import type { Sender, StoredObject } from '../store/store.ts'
import type { ReclaimedLease } from '../wire/controlFrames.ts'

/** What an endpoint may claim: the object, and the group that it was delivered for. */
export interface AbsentLease {
  readonly object: StoredObject
  readonly group: string
}

/** By what an endpoint identifies an object that it was delivered. */
type Identity = Pick<ReclaimedLease, 'source' | 'sequence' | 'groupIndex' | 'isDead'>

/**
 * The leases of an earlier run of the relay, for endpoints that come back and claim theirs: by session, and then by what an
 * endpoint knows of an object.
 */
export class AbsentLeases {
  readonly #sessions = new Map<string, Map<string, AbsentLease>>()

  add({ payload, group, groupIndex, session }: KeptPlace<StoredObject>, sender: Sender): void {
    if (session === undefined) return
    const identity = { ...sender, groupIndex, isDead: isDeadLetterName(group) }
    let leases = this.#sessions.get(session)
    if (leases === undefined) {
      leases = new Map()
      this.#sessions.set(session, leases)
    }
    leases.set(keyOf(identity), { object: payload, group })
  }

  find(session: string, identity: Identity): AbsentLease | undefined {
    return this.#sessions.get(session)?.get(keyOf(identity))
  }

  /** Keeps only the leases of sessions that are still awaited. */
  forget(isAwaited: (session: string) => boolean): void {
    for (const session of this.#sessions.keys()) if (!isAwaited(session)) this.#sessions.delete(session)
  }
}

function keyOf({ source, sequence, groupIndex, isDead }: Identity): string {
  return `${source},${sequence},${groupIndex},${isDead}`
}
