import type { FakeClock } from '../../src/clock.fixture.ts'
import type { Clock, Timer } from '../../src/clock.ts'
import type { AcceptedGroup } from '../../src/core/ports.ts'
import type { RelayLimits } from '../../src/limits.ts'
import type { RelayEventMessage } from '../../src/relay/relayEvents.ts'
import { RelayServer } from '../../src/relay/relayServer.ts'
import { LogStore } from '../../src/store/log/logStore.ts'
import { MemoryDisk } from '../../src/store/log/memoryDisk.fixture.ts'
import { openStore } from '../../src/store/memoryStore.ts'
import { SimulatedFiles } from '../../src/store/spool/simulatedFiles.fixture.ts'
import type { Store } from '../../src/store/store.ts'
import type { Keyring } from './channel.ts'

/** What a relay of a run is made of. */
export interface FuzzRelayParts {
  readonly clock: FakeClock
  readonly keyring: Keyring
  readonly options: {
    readonly acceptedGroups: null | Readonly<Record<string, AcceptedGroup>>
    readonly limits: RelayLimits
  }
  /** Whether it keeps what it has on a disk, which outlives it. */
  readonly isDurable: boolean
  emit(event: RelayEventMessage): void
}

/** The relay of a run: the real one, on a clock of the test's own; one that is durable may be killed and started again. */
export class FuzzRelay {
  /** Counts its lives, from 1. */
  run = 0
  readonly isDurable: boolean
  readonly #parts: FuzzRelayParts
  #server: RelayServer | undefined
  #files: SimulatedFiles | undefined
  #disk: MemoryDisk | undefined

  private constructor(parts: FuzzRelayParts) {
    this.#parts = parts
    this.isDurable = parts.isDurable
  }

  static async start(parts: FuzzRelayParts): Promise<FuzzRelay> {
    const relay = new FuzzRelay(parts)
    await relay.#start()
    return relay
  }

  get server(): RelayServer {
    if (this.#server === undefined) throw new Error('The relay was not started.')
    return this.#server
  }

  /** Commits that are under way. */
  get waitingCommits(): number {
    return this.#disk?.commitsUnderWay ?? 0
  }

  /** It is killed, with the first `written` of its commits on the disk that were under way, and started again. */
  async restart(written: number): Promise<void> {
    const files = this.#openFiles(this.#files)
    this.#disk = this.#disk?.crash(written, files)
    await this.#start()
  }

  /** Lets everything happen that can, without time passing: until the relay had nothing to do for so many turns. */
  async settle(turns: number = this.isDurable ? 2 : 0): Promise<void> {
    const { clock } = this.#parts
    clock.settle()
    for (let quiet = 0; quiet < turns; quiet++) {
      await new Promise((resolve) => setImmediate(resolve))
      const waits = this.waitingCommits > 0
      this.#disk?.complete()
      if (clock.settle() || waits) quiet = 0
    }
  }

  async #start(): Promise<void> {
    const run = ++this.run
    const { clock, keyring, options, emit } = this.#parts
    this.#server = new RelayServer(options, {
      clock,
      authenticator: keyring.authenticator,
      store: await this.#openStore(),
      // A dead one has nothing to say.
      emit: (event) => (run === this.run ? emit(event) : undefined),
    })
  }

  async #openStore(): Promise<Store> {
    if (!this.isDurable) return openStore()
    this.#files ??= this.#openFiles(undefined)
    this.#disk ??= new MemoryDisk(this.#files)
    const { clock } = this.#parts
    const host = { report: () => undefined }
    let isOpen = false
    const opening = LogStore.open(this.#disk, {
      newRelayName: 'the-relay',
      ticketKey: new Uint8Array(32),
      clock,
      host,
    }).finally(() => {
      isOpen = true
    })
    while (!isOpen) await this.settle()
    return await opening
  }

  /** The files of a run, with what those of the run before had synced; that run does not touch them any more. */
  #openFiles(before: SimulatedFiles | undefined): SimulatedFiles {
    const files = new SimulatedFiles(new PromptClock(this.#parts.clock))
    for (const [name, bytes] of before?.synced ?? []) {
      files.files.set(name, bytes)
      files.synced.set(name, bytes)
    }
    this.#files = files
    return files
  }
}

/** For a disk that needs no time: whatever is to happen later happens soon. */
class PromptClock implements Clock {
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  nowMs(): number {
    return this.#clock.nowMs()
  }

  dateMs(): number {
    return this.#clock.dateMs()
  }

  after(_delayMs: number, run: () => void): Timer {
    let isCancelled = false
    this.#clock.soon(() => {
      if (!isCancelled) run()
    })
    return {
      cancel: () => {
        isCancelled = true
      },
    }
  }

  soon(run: () => void): void {
    this.#clock.soon(run)
  }

  random(): number {
    return this.#clock.random()
  }
}
