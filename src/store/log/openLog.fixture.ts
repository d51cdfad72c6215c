import { FakeClock } from '../../clock.fixture.ts'
import type { ObjectRelayError } from '../../errors.ts'
import { SimulatedFiles } from '../spool/simulatedFiles.fixture.ts'
import { StoreWitness } from '../storeWitness.fixture.ts'
import { LogStore } from './logStore.ts'
import { MemoryDisk } from './memoryDisk.fixture.ts'

/** A log on a disk in memory. */
export interface OpenedLog {
  readonly store: LogStore
  readonly disk: MemoryDisk
  readonly files: SimulatedFiles
  readonly clock: FakeClock
  /** What the operator was told. */
  readonly reports: ObjectRelayError[]
}

/** Opens what is on a disk, or a new log; with the files and the clock of an earlier run, if there was one. */
export async function openLog(
  content?: MemoryDisk,
  earlier?: Pick<OpenedLog, 'files' | 'clock'>,
  newRelayName: string = 'the-relay',
  wasteBytesMax?: number,
): Promise<OpenedLog> {
  const clock = earlier?.clock ?? new FakeClock()
  const files = earlier?.files ?? new SimulatedFiles(clock)
  const disk = content ?? new MemoryDisk(files)
  const reports: ObjectRelayError[] = []
  const host = { report: (error: ObjectRelayError): void => void reports.push(error) }
  return {
    disk,
    files,
    clock,
    reports,
    store: await LogStore.open(disk, {
      newRelayName,
      ticketKey: new Uint8Array(32).fill(4),
      clock,
      host,
      ...(wasteBytesMax === undefined ? {} : { wasteBytesMax }),
    }),
  }
}

/** Lets the disk do what it was asked for, and time pass, until `promise` is settled. */
export async function settle<T>({ disk, clock }: Pick<OpenedLog, 'disk' | 'clock'>, promise: Promise<T>): Promise<T> {
  let isSettled = false
  const settled = (): void => {
    isSettled = true
  }
  promise.then(settled, settled)
  for (let turns = 0; !isSettled && turns < 10_000; turns++) {
    disk.complete()
    clock.advance(1)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return promise
}

/** Commits, and waits until the disk has done so. */
export async function committed({ store, disk }: OpenedLog): Promise<void> {
  const kept = store.commit()
  disk.complete()
  await kept
}

/** The relay ends without notice, and is started again. */
export async function reopened(log: OpenedLog): Promise<{ log: OpenedLog; witness: StoreWitness }> {
  const again = await openLog(log.disk.crash(), log)
  return { log: again, witness: await StoreWitness.recover(again.store) }
}
