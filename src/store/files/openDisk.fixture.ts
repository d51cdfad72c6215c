import { FakeClock } from '../../clock.fixture.ts'
import { createError, ObjectRelayError } from '../../errors.ts'
import type { LogEnd } from '../log/logDisk.ts'
import { SimulatedFiles } from '../spool/simulatedFiles.fixture.ts'
import { FileDisk } from './fileDisk.ts'
import { folderError } from './folderErrors.ts'
import { StoreRoom } from './storeRoom.ts'

/** A folder on a simulated machine. */
export class SimulatedFolder {
  readonly clock: FakeClock
  readonly log: SimulatedFiles
  readonly bodies: SimulatedFiles
  readonly key = 4_711
  /** Where the log was safe when it was last closed. */
  end: LogEnd | undefined
  /** Who has the folder. */
  owner = 0
  freeBytes = 1e9
  readonly reports: ObjectRelayError[] = []

  constructor(clock: FakeClock = new FakeClock()) {
    this.clock = clock
    this.log = new SimulatedFiles(clock)
    this.bodies = new SimulatedFiles(clock)
  }

  /** What a new machine finds when this one has stopped, which goes on with nothing. See {@link SimulatedFiles.crash}. */
  crashed(kept?: () => number): SimulatedFolder {
    const next = new SimulatedFolder()
    next.end = this.end
    next.owner = this.owner
    this.log.crash(kept)
    this.bodies.crash(kept)
    for (const [from, to] of [
      [this.log, next.log],
      [this.bodies, next.bodies],
    ] as const) {
      for (const [name, bytes] of from.files) {
        to.files.set(name, Buffer.from(bytes))
        to.synced.set(name, Buffer.from(bytes))
      }
    }
    return next
  }

  /** A disk of a new owner; the owner before is deposed. */
  open({ bytesMax }: { bytesMax?: number } = {}): FileDisk {
    const owner = ++this.owner
    return new FileDisk({
      files: this.log,
      bodies: this.bodies,
      isSynced: true,
      marker: { key: this.key, end: this.end },
      owner: {
        id: owner.toString(16).padStart(12, '0'),
        confirm: async () => {
          if (this.owner !== owner) throw createError('STORE_IN_USE', 'Somebody else has the folder.')
        },
        release: async () => undefined,
      },
      clock: this.clock,
      explain: (thrown) => (thrown instanceof ObjectRelayError ? thrown : folderError('folder', 'written', thrown)),
      report: (error) => void this.reports.push(error),
      mark: async (end) => {
        this.end = end
      },
      room: (files) =>
        new StoreRoom({
          folder: 'folder',
          bytesMax,
          clock: this.clock,
          logBytes: () => files.bytes,
          bodyBytes: () => 0,
          report: (error) => void this.reports.push(error),
          measure: async () => this.freeBytes,
        }),
    })
  }
}
