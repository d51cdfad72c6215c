import { LogStore } from '../../src/store/log/logStore.ts'
import { MemoryDisk } from '../../src/store/log/memoryDisk.fixture.ts'
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
  #disk: MemoryDisk | undefined
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
    const meanCommitMs = random.pick([0.2, 2, 30])
    const timing = { clock: thread, commitMs: () => random.waitMs(meanCommitMs) }
    this.#disk = new MemoryDisk(files, timing, this.#disk)
    return LogStore.open(this.#disk, {
      newRelayName: `relay ${++this.#opened}`,
      ticketKey: simulatedTicketKey,
      clock: thread,
      host,
      slabs,
    })
  }

  /** The relay ended from one moment to the next. Of what it was about to write, the first part may have been written. */
  crash(): void {
    this.#files?.crash()
    const disk = this.#disk
    if (disk === undefined || this.#files === undefined) return
    this.#disk = disk.crash(this.#scheduler.random.integer(0, disk.waitingCommits), this.#files)
  }
}
