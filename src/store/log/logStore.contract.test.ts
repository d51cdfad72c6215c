import { describeStore, type StoreWorld } from '../store.contract.ts'
import type { Store } from '../store.ts'
import { type OpenedLog, openLog, settle } from './openLog.fixture.ts'

/** A log on a disk in memory, whose relay is killed and whose machine with it. */
class LogWorld implements StoreWorld {
  #log: OpenedLog

  constructor(log: OpenedLog) {
    this.#log = log
  }

  get store(): Store {
    return this.#log.store
  }

  readonly settle = <T>(promise: Promise<T>): Promise<T> => settle(this.#log, promise)

  async restart(): Promise<Store> {
    this.#log.files.crash()
    this.#log = await openLog(this.#log.disk.crash(), this.#log)
    return this.store
  }

  async end(): Promise<void> {}
}

describeStore('A log on a disk in memory', {
  isDurable: true,
  open: async () => new LogWorld(await openLog()),
  histories: 40,
})
