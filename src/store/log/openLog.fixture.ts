import { FakeClock } from '../../clock.fixture.ts'
import type { ObjectRelayError } from '../../errors.ts'
import { SimulatedFiles } from '../spool/simulatedFiles.fixture.ts'
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

/** Opens what is on a disk, or a new log. */
export async function openLog(
  content?: MemoryDisk,
  files?: SimulatedFiles,
  newRelayName: string = 'the-relay',
): Promise<OpenedLog> {
  const clock = new FakeClock()
  const bodies = files ?? new SimulatedFiles(clock)
  const disk = content ?? new MemoryDisk(bodies)
  const reports: ObjectRelayError[] = []
  const host = { report: (error: ObjectRelayError): void => void reports.push(error) }
  return {
    disk,
    files: bodies,
    clock,
    reports,
    store: await LogStore.open(disk, { newRelayName, clock, host }),
  }
}
