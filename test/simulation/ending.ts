import { isDeadLetterName } from '../../src/core/groupName.ts'
import type { BoundChecks } from './bounds.ts'
import type { Ledger, SentObject } from './ledger.ts'
import type { Population } from './population.ts'
import type { Scenario } from './scenario.ts'
import type { Scheduler, SimulatedThread } from './scheduler.ts'
import type { SimulatedEndpoint } from './simulatedEndpoint.ts'
import type { SimulatedRelay } from './simulatedRelay.ts'

const TAKE_MS = 100
const ASK_MS = 500

export interface EndingParts {
  readonly scheduler: Scheduler
  readonly world: SimulatedThread
  readonly ledger: Ledger
  readonly scenario: Scenario
  readonly population: Population
  readonly relay: SimulatedRelay
  readonly bounds: BoundChecks
  /** Lets time pass until something is so, or so long; returns whether it is so. */
  until(isSo: () => boolean, timeoutMs: number): Promise<boolean>
  note(what: string): void
}

/** The end of a simulation: no more faults; all that was sent must arrive, and everything must come to rest and to zero. */
export class Ending {
  readonly #parts: EndingParts
  #asks = false
  #over = false

  constructor(parts: EndingParts) {
    this.#parts = parts
  }

  async run(): Promise<void> {
    const { until, ledger, population, relay, scenario, note } = this.#parts
    note('no more faults')
    population.calmDown()
    for (const endpoint of population.running) this.#attend(endpoint)
    // Whatever is frozen runs again by then, and what was asked for is served.
    await until(() => false, 40_000)
    await this.#sendAwayWhoFindsNoPlace()
    if (scenario.limits.progressMs === 0) await this.#checkNobodyStarves()
    await this.#checkCredit()
    this.#sendSweepers()
    this.#asks = true
    if (!(await until(() => this.#drained(), 240_000))) ledger.break(`not all is drained: ${this.#remains()}`)
    await this.#lastBroadcasts()
    await this.#clearRetained()
    this.#over = true
    if (ledger.problem !== undefined) return
    await this.#stopEndpoints()
    if (!(await until(() => relay.stats()?.sessions.length === 0, 30_000)))
      ledger.break('the relay still knows sessions')
    const stats = relay.stats()
    if (stats !== undefined) this.#parts.bounds.emptyRelay(stats)
    await this.#stopRelay()
    this.#checkBooks()
  }

  /** The program of an endpoint takes all that comes, and later asks for more. */
  #attend(endpoint: SimulatedEndpoint): void {
    const { program } = endpoint.machine
    const repeat = (meanMs: number, act: () => void) => {
      const again = () => {
        if (this.#over || !endpoint.running) return
        act()
        program.after(meanMs, again)
      }
      program.after(this.#parts.scheduler.random.waitMs(meanMs), again)
    }
    repeat(TAKE_MS, () => {
      endpoint.settle('ack')
      void endpoint.take('all', {})
    })
    repeat(ASK_MS, () => {
      if (!this.#asks) return
      // Where nothing may wait, asking for what waits is not enough.
      for (const group of endpoint.groups) for (const count of [-1, 3]) endpoint.notify(group, count)
    })
  }

  /** Somebody for each group that has no member, and for all that died. */
  #sendSweepers(): void {
    const { population, scenario } = this.#parts
    for (const group of scenario.groups) {
      if (!population.running.some(({ groups }) => groups.includes(group))) population.addSweeper([group])
      population.addSweeper([`${group}.dead`])
      for (const sweeper of population.endpoints.slice(-2)) this.#attend(sweeper)
    }
  }

  /** Nobody waits for a place while one is free; who does while none is, stops, and leaves nothing behind. */
  async #sendAwayWhoFindsNoPlace(): Promise<void> {
    const { population, relay, scenario, ledger, until } = this.#parts
    const isFull = (group: string) => {
      const maxCount = scenario.acceptedGroups?.[group]?.maxCount ?? Number.POSITIVE_INFINITY
      return (relay.stats()?.groups[group]?.members ?? 0) >= maxCount
    }
    const vainly = () => population.running.filter((one) => one.waitsForPlace && !one.groups.some(isFull))
    if (!(await until(() => vainly().length === 0, 20_000)))
      ledger.break(`e${vainly()[0]?.serial} waits for a place, and its groups have one`)
    const waiting = population.running.filter(({ waitsForPlace }) => waitsForPlace)
    for (const endpoint of waiting) endpoint.machine.program.after(0, () => void endpoint.stop(0))
    if (!(await until(() => waiting.every(({ state }) => state === 'stopped'), 20_000)))
      ledger.break('an endpoint that waits for a place does not stop')
  }

  /** Where objects wait and are asked for, something must move, be it slowly. */
  async #checkNobodyStarves(): Promise<void> {
    const { relay, ledger, until } = this.#parts
    const before = relay.stats()?.groups ?? {}
    await until(() => false, 20_000)
    for (const { name, waiting, retrying, demand, acknowledged } of Object.values(relay.stats()?.groups ?? {})) {
      // A dead letter may rest until another reader comes.
      if (waiting > retrying && demand > 0 && acknowledged === before[name]?.acknowledged)
        ledger.break(`${waiting} wait in ${name}, ${demand} are asked for, nothing moves: ${this.#remains()}`)
    }
  }

  /** What was asked for and has not come is what the relay still owes, through all that was lost and begun anew. */
  async #checkCredit(): Promise<void> {
    const { population, relay, ledger, until } = this.#parts
    const differences = () =>
      Object.values(relay.stats()?.groups ?? {}).flatMap(({ name, demand, members }) => {
        const present = population.running.filter(({ groups }) => groups.includes(name))
        const outstanding = present.reduce((sum, { witness }) => sum + witness.outstanding(name), 0)
        if (present.length !== members || !Number.isFinite(outstanding) || outstanding === demand) return []
        return [`${outstanding} of ${name} were asked for and have not come, and ${demand} are owed`]
      })
    // What is on its way is neither.
    if (await until(() => differences().length === 0, 30_000)) return
    ledger.break(differences().join('; '))
  }

  #drained(): boolean {
    const { relay, ledger, population } = this.#parts
    const stats = relay.stats()
    if (stats === undefined) return false
    for (const { waiting, leased, blockedSenders } of Object.values(stats.groups)) {
      if (waiting + leased + blockedSenders > 0) return false
    }
    if (stats.sessions.some(({ backlog }) => backlog > 0)) return false
    const alive = new Set(population.endpoints.filter((endpoint) => endpoint.alive).map(({ serial }) => serial))
    for (const { settled, producer } of ledger.objects.values()) if (!settled && alive.has(producer)) return false
    return true
  }

  #remains(): string {
    const { relay, ledger, population } = this.#parts
    const alive = new Set(population.endpoints.filter((endpoint) => endpoint.alive).map(({ serial }) => serial))
    const unsettled = [...ledger.objects.values()].filter(({ settled, producer }) => !settled && alive.has(producer))
    return JSON.stringify({
      groups: relay.stats()?.groups,
      sessions: relay.stats()?.sessions,
      endpoints: population.running.map(({ serial, program }) => ({ serial, ...program.stats() })),
      unsettled: unsettled.slice(0, 20),
    })
  }

  /** One more broadcast to each group, which every member must get. */
  async #lastBroadcasts(): Promise<void> {
    const { population, scenario, until, ledger } = this.#parts
    const sent: SentObject[] = []
    const sender = population.running.at(-1)
    if (sender === undefined) {
      ledger.break('nobody is left')
      return
    }
    sender.machine.program.after(0, () => {
      for (const group of scenario.groups) {
        sent.push(sender.broadcast([group], 100))
      }
    })
    const missing = () =>
      population.running.flatMap(({ groups, witness, serial }) =>
        groups
          .filter(
            (group) =>
              !isDeadLetterName(group) &&
              !sent.some((object) => object.groups.includes(group) && witness.hasBroadcast(group, object.id)),
          )
          .map((group) => `e${serial}: ${group}`),
      )
    const arrived = () => sent.length > 0 && sent.every(({ settled }) => settled) && missing().length === 0
    if (!(await until(arrived, 60_000))) ledger.break(`last broadcasts did not arrive: ${missing().join('; ')}`)
  }

  /** In half of the runs nothing is to be retained any more. */
  async #clearRetained(): Promise<void> {
    const { population, scenario, until, ledger, relay } = this.#parts
    const sender = population.running.at(-1)
    if (sender === undefined || this.#parts.scheduler.random.chance(0.5)) return
    const sent: SentObject[] = []
    sender.machine.program.after(0, () => void sent.push(sender.clearRetained(scenario.groups)))
    const retained = () =>
      Object.values(relay.stats()?.groups ?? {}).filter(({ lastBroadcastBytes }) => lastBroadcastBytes >= 0)
    const isCleared = () => sent.length > 0 && sent.every(({ settled }) => settled)
    if (!(await until(isCleared, 60_000))) ledger.break('what clears is not answered')
    if (retained().length > 0) ledger.break(`still retained: ${JSON.stringify(retained())}`)
  }

  async #stopEndpoints(): Promise<void> {
    const { population, until, ledger } = this.#parts
    let left = 0
    for (const endpoint of population.running) {
      left++
      endpoint.machine.program.after(0, () => {
        void endpoint.stop(20_000).then((result) => {
          left--
          if (result === undefined || result.undelivered.length > 0 || result.deadlineReached)
            ledger.break(`e${endpoint.serial} did not stop well: ${JSON.stringify(result)}`)
        })
      })
    }
    if (!(await until(() => left === 0, 60_000))) ledger.break(`${left} endpoints do not stop`)
    if (!(await until(() => population.endpoints.every(({ alive, state }) => !alive || state !== 'stopping'), 60_000)))
      ledger.break('an endpoint that was to stop earlier has not')
  }

  async #stopRelay(): Promise<void> {
    const { relay, until, ledger, scheduler, world } = this.#parts
    let stopped = false
    relay.thread.after(0, () => {
      void relay.stop(5_000).then((result) => {
        stopped = true
        if (result === undefined || result.deadlineReached || Object.keys(result.undelivered).length > 0)
          ledger.break(`the relay did not stop well: ${JSON.stringify(result)}`)
      })
    })
    if (!(await until(() => stopped, 10_000))) ledger.break('the relay does not stop')
    // What was refused or cut last gets a moment to hang up, and faults that were to come find nothing.
    await until(() => false, 60_000)
    const left = scheduler.left.filter((what) => !what.startsWith(world.name))
    if (left.length > 0) ledger.break(`timers are left: ${left.join('; ')}`)
  }

  #checkBooks(): void {
    const { ledger, relay, population } = this.#parts
    ledger.checkNothingLost(relay.store.remembers ? 'any' : relay.run)
    ledger.checkAllSettled((serial) => population.endpoints[serial - 1]?.alive === true)
    for (const { alive, witness } of population.endpoints) if (alive) witness.checkBroadcasts()
    for (const { left } of population.machines) {
      if (left.sessions + left.attachments > 0) ledger.break(`a machine has ${JSON.stringify(left)} left`)
    }
  }
}
