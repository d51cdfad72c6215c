import type { BrokerJournal } from '../core/journal.ts'
import type { StoredObject } from './store.ts'

/** The journal of a store that remembers nothing. */
export const silentJournal: BrokerJournal<StoredObject> = {
  queued() {},
  leased() {},
  returned() {},
  buried() {},
  acknowledged() {},
  dropped() {},
  lastBroadcast() {},
}
