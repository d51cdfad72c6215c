import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../../../support/waiting.ts'
import { SoakCast } from './soakCast.ts'
import { SoakFaults } from './soakFaults.ts'
import { SoakLedger } from './soakLedger.ts'

const MiB = 1024 * 1024
const LINE_MS = 10_000
/** Memory is flat when the last fifth of the run has not more than this beyond the fifth after the warm-up. */
const GROWTH_FACTOR = 1.2
const GROWTH_BYTES = 24 * MiB

/** Mixed load with random faults for some minutes; resolves to whether nothing was lost and the relay's memory was flat. */
export async function soak({ minutes, seed }: { minutes: number; seed: number }): Promise<boolean> {
  console.log(`soak: ${minutes} minutes, --seed ${seed}`)
  process.env.XDG_DATA_HOME = await mkdtemp(join(tmpdir(), 'objectrelay-soak-'))
  const folder = process.env.XDG_DATA_HOME
  const ledger = new SoakLedger()
  const cast = new SoakCast(folder, ledger)
  try {
    await cast.begin()
    const faults = new SoakFaults(cast, seed)
    const residentBytes = await run(cast, ledger, faults, minutes)
    const unsent = await cast.stopProducers()
    await eventually(
      async () => Object.values((await cast.relay.relayStats()).groups),
      (groups) => groups.every(({ waiting, leased }) => waiting + leased === 0),
      60_000,
    ).catch((error: unknown) => console.log(String(error)))
    ledger.read()
    console.log(`faults: ${[...faults.counts].map(([name, count]) => `${count} ${name}`).join(', ')}`)
    const isFlat = judgeMemory(residentBytes)
    return judge(ledger, unsent) && isFlat
  } finally {
    await cast.end()
    ledger.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Runs load and faults side by side; gives the relay's memory at each line. */
async function run(cast: SoakCast, ledger: SoakLedger, faults: SoakFaults, minutes: number): Promise<number[]> {
  const residentBytes: number[] = []
  const beganMs = performance.now()
  const isOver = () => performance.now() - beganMs > minutes * 60_000
  const faulting = (async () => {
    while (!isOver()) await faults.next()
  })()
  let before = { ...ledger.counts }
  while (!isOver()) {
    await pause(LINE_MS)
    ledger.read()
    const { counts } = ledger
    const { memory, keptBytes, endpoints } = await cast.relay.relayStats()
    residentBytes.push(memory.residentBytes)
    const perSecond = (count: number) => Math.round(count / (LINE_MS / 1_000))
    console.log(
      [
        `${Math.round((performance.now() - beganMs) / 1_000)} s`.padStart(6),
        `accepted ${perSecond(counts.accepted - before.accepted)}/s`,
        `came ${perSecond(counts.came - before.came)}/s`,
        `heard ${perSecond(counts.heard - before.heard)}/s`,
        `relay ${Math.round(memory.residentBytes / MiB)} MiB, keeps ${(keptBytes / MiB).toFixed(1)} MiB`,
        `its heap ${Math.round((await cast.relay.heapBytes()) / MiB)} MiB`,
        `endpoints ${endpoints.connected}+${endpoints.away}`,
      ].join('  '),
    )
    before = { ...counts }
  }
  await faulting
  return residentBytes
}

function judgeMemory(residentBytes: readonly number[]): boolean {
  const fifth = Math.max(1, Math.floor(residentBytes.length / 5))
  const early = median(residentBytes.slice(fifth, 2 * fifth))
  const late = median(residentBytes.slice(-fifth))
  const isFlat = late <= early * GROWTH_FACTOR + GROWTH_BYTES
  console.log(
    `memory of the relay: ${Math.round(early / MiB)} MiB after the warm-up, ${Math.round(late / MiB)} MiB at the end: ${isFlat ? 'flat' : 'IT GREW'}`,
  )
  return isFlat
}

function judge(ledger: SoakLedger, unsent: number): boolean {
  const missing = [...ledger.missing()]
  const { accepted, came, repeated, duplicated, damaged, outOfOrder, heard, skipped, failed } = ledger.counts
  console.log(
    `produced objects: ${accepted} accepted, ${came} came, ${missing.length} lost, ${duplicated} duplicated, ${damaged} damaged, ${outOfOrder} out of order, ${repeated} repeated after a consumer died; ${heard} broadcasts heard, ${skipped} skipped; ${failed} failed, ${unsent} unsent at the stop`,
  )
  if (missing.length > 0) console.log(`lost: ${missing.slice(0, 20).join(', ')}`)
  return missing.length + duplicated + damaged + outOfOrder === 0
}

function median(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0
}
