import { toObjectRelayError } from '../../src/errors.ts'
import { FileDisk } from '../../src/store/files/fileDisk.ts'
import { StoreRoom } from '../../src/store/files/storeRoom.ts'
import type { LogEnd } from '../../src/store/log/logDisk.ts'
import { LogStore } from '../../src/store/log/logStore.ts'
import { MemoryStore } from '../../src/store/memoryStore.ts'
import { SimulatedFiles } from '../../src/store/spool/simulatedFiles.fixture.ts'
import type { Store } from '../../src/store/store.ts'
import { SlabPool } from '../../src/wire/slabPool.ts'
import type { Scenario } from './scenario.ts'
import type { Scheduler, SimulatedThread } from './scheduler.ts'

/** Outlives the relay, as its disk does. */
const simulatedTicketKey = new Uint8Array(32).fill(5)

/** Where the simulated relay keeps things: the real stores, on a disk that takes its time, and outlives the relay. */
export class SimulatedStore {
  readonly #kind: Scenario['store']
  readonly #scheduler: Scheduler
  readonly #note: (what: string) => void
  /** The files of the log. */
  #log: SimulatedFiles | undefined
  /** Where the log was safe when a relay was stopped. */
  #end: LogEnd | undefined
  #files: SimulatedFiles | undefined
  #opened = 0

  constructor(kind: Scenario['store'], scheduler: Scheduler, note: (what: string) => void) {
    this.#kind = kind
    this.#scheduler = scheduler
    this.#note = note
  }

  /** Whether a relay that is started again finds what it had. */
  get remembers(): boolean {
    return this.#kind === 'log'
  }

  open(thread: SimulatedThread): Promise<Store> {
    const { random } = this.#scheduler
    const host = { report: (error: Error) => this.#note(`the store reports: ${error.message}`) }
    const files = new SimulatedFiles(thread)
    files.faults.delayMs = random.pick([0.1, 1, 20])
    for (const [name, bytes] of this.#files?.files ?? []) {
      files.files.set(name, bytes)
      files.synced.set(name, bytes)
    }
    this.#files = files
    // Small, so that they are used again often; whoever still looks at one that is free sees it.
    const slabs = new SlabPool({ slabBytes: random.pick([500, 4_000]), freed: (memory) => memory.fill(0xdd) })
    if (this.#kind === 'memory') {
      return Promise.resolve(
        new MemoryStore({ files: random.chance(0.5) ? files : undefined, host, clock: thread, slabs }),
      )
    }
    const disk = this.#openDisk(thread, files)
    const wasteBytesMax = random.pick([2_000, 100_000])
    const newRelayName = `relay ${++this.#opened}`
    return LogStore.open(disk, {
      newRelayName,
      ticketKey: simulatedTicketKey,
      clock: thread,
      host,
      slabs,
      wasteBytesMax,
    })
  }

  /** The real one, on files that take their time, and may fail to have what was not synced. */
  #openDisk(thread: SimulatedThread, bodies: SimulatedFiles): FileDisk {
    const { random } = this.#scheduler
    const files = new SimulatedFiles(thread)
    files.faults.delayMs = random.pick([0.1, 1, 15, 40])
    for (const [name, bytes] of this.#log?.files ?? []) {
      files.files.set(name, Buffer.from(bytes))
      files.synced.set(name, Buffer.from(bytes))
    }
    this.#log = files
    const report = (error: Error): void => this.#note(`the store reports: ${error.message}`)
    return new FileDisk({
      files,
      bodies,
      isSynced: true,
      marker: { key: 7, end: this.#end },
      owner: {
        id: String(this.#opened + 1).padStart(12, '0'),
        confirm: async () => undefined,
        release: async () => undefined,
      },
      clock: thread,
      explain: (thrown) => toObjectRelayError(thrown, 'STORE_FAILED'),
      report,
      mark: async (end) => {
        this.#end = end
      },
      room: (logFiles) =>
        new StoreRoom({
          folder: '',
          bytesMax: undefined,
          clock: thread,
          logBytes: () => logFiles.bytes,
          bodyBytes: () => 0,
          report,
          measure: async () => 1e12,
        }),
    })
  }

  /** Called when the log was synced, each time from now on. */
  set onSynced(onSynced: () => void) {
    if (this.#log !== undefined) this.#log.onSynced = onSynced
  }

  /** The relay ended from one moment to the next. Of what was not synced, any part may be on the disk, in any order. */
  crash(): void {
    this.#files?.crash()
    const { random } = this.#scheduler
    this.#log?.crash(() => random.pick([0, 0, 1, 1, 0.4, -0.3]))
  }
}
