import { loadPasswordProof } from '../../src/security/passwordLogin.ts'
import { BoundChecks } from './bounds.ts'
import { Ending } from './ending.ts'
import { Faults } from './faults.ts'
import { withSimulatedTime } from './globalTime.ts'
import { Ledger } from './ledger.ts'
import { SimulatedNetwork } from './network.ts'
import { Population } from './population.ts'
import { SeededRandom } from './random.ts'
import { makeScenario } from './scenario.ts'
import { Scheduler } from './scheduler.ts'
import { SimulatedRelay } from './simulatedRelay.ts'
import { Transcript } from './transcript.ts'

const CHECK_MS = 100

/** What a simulation came to. */
export interface SimulationResult {
  readonly seed: number
  /** What went wrong, if anything did. */
  readonly problem: Error | undefined
  readonly simulatedMs: number
  readonly steps: number
  readonly objects: number
  readonly digest: string
  /** The last part of the transcript. */
  readonly tail: string
}

/** Runs the whole system for so many simulated seconds with all faults of the seed, and then lets it come to rest. */
export async function simulate(
  seed: number,
  seconds: number,
  print?: (line: string) => void,
): Promise<SimulationResult> {
  await loadPasswordProof()
  const scheduler = new Scheduler(new SeededRandom(seed))
  const sending = { dateMs: 0 }
  return await withSimulatedTime(scheduler, sending, () => run(seed, seconds, scheduler, sending, print))
}

async function run(
  seed: number,
  seconds: number,
  scheduler: Scheduler,
  sending: { dateMs: number },
  print: ((line: string) => void) | undefined,
): Promise<SimulationResult> {
  const world = scheduler.current
  const transcript = new Transcript(print)
  const note = (what: string) => transcript.add(scheduler.nowMs, what)
  const scenario = makeScenario(scheduler.random)
  const ledger = new Ledger(scenario.limits, () => scheduler.nowMs)
  note(`seed ${seed}: ${JSON.stringify(scenario)}`)
  const network = new SimulatedNetwork(scheduler)
  const relay = new SimulatedRelay({ scheduler, network, scenario, ledger, note })
  await relay.start()
  const population = new Population(scheduler, network, scenario, {
    ledger,
    sending,
    note,
    later: (delayMs, act) => void world.after(delayMs, act),
    relayRemembers: relay.store.remembers,
  })
  const faults = new Faults(scenario, {
    scheduler,
    network,
    relay,
    machines: () => population.machines,
    replace: (machine) => population.replace(machine),
    note,
  })
  const bounds = new BoundChecks(scenario, ledger)
  const until = async (isSo: () => boolean, timeoutMs: number) => {
    const endMs = scheduler.nowMs + timeoutMs
    let nextCheckMs = scheduler.nowMs
    while (ledger.problem === undefined) {
      if (!(await scheduler.step(Math.min(endMs, nextCheckMs)))) {
        if (isSo()) return true
        if (scheduler.nowMs >= endMs) return false
        nextCheckMs = scheduler.nowMs + CHECK_MS
        const stats = relay.stats()
        if (stats !== undefined) bounds.relay(stats)
        for (const endpoint of population.running) bounds.endpoint(endpoint)
      }
    }
    return false
  }
  try {
    await until(() => false, seconds * 1000)
    faults.end()
    await until(() => !faults.relayIsAway, 60_000)
    network.closedUntilMs = 0
    await new Ending({ scheduler, world, ledger, scenario, population, relay, bounds, until, note }).run()
  } catch (thrown) {
    ledger.break(`something was thrown: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`)
  }
  note(ledger.problem === undefined ? 'all promises were kept' : `BROKEN: ${ledger.problem.message}`)
  return {
    seed,
    problem: ledger.problem,
    simulatedMs: scheduler.nowMs,
    steps: scheduler.steps,
    objects: ledger.objects.size,
    digest: transcript.digest,
    tail: transcript.tail,
  }
}
