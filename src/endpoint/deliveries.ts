import type { Delivery } from './endpointTypes.ts'
import type { InboxEntry } from './inboxRun.ts'
import type { Settlement } from './settlement.ts'
import type { EndpointStatus } from './status.ts'
import { nextObject } from './takeRequest.ts'
import type { Taking } from './taking.ts'

/** An object with what surrounds it. Its functions need no `this`, so that they may be taken out of it. */
export function deliveryOf(entry: InboxEntry, object: unknown, settlement: Settlement): Delivery {
  const { group, kind, attempt, skipped, sentAtMs } = entry
  return {
    object,
    group,
    kind,
    attempt,
    skipped,
    sentAt: new Date(sentAtMs),
    ack() {
      settlement.acknowledge(entry)
      settlement.flush()
    },
    release() {
      settlement.release(entry, false)
      settlement.flush()
    },
  }
}

/**
 * One object after the other, each acknowledged when the next one is asked for, or when the loop is left. An error that is
 * thrown into it gives the object back instead. Ends when the endpoint is stopped.
 */
export async function* iterate<Item>(
  { taking, settlement, status }: { taking: Taking; settlement: Settlement; status: EndpointStatus },
  present: (entry: InboxEntry, object: unknown) => Item,
): AsyncGenerator<Item, void, undefined> {
  do {
    const { entries, objects } = await taking.take(nextObject)
    const [entry] = entries
    if (entry === undefined) return
    try {
      yield present(entry, objects[0])
    } catch (thrown) {
      settlement.release(entry, false)
      throw thrown
    } finally {
      settlement.acknowledge(entry)
      settlement.flush()
    }
  } while (!status.receivingClosed)
}
