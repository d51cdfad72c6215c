import type { Machine } from './machine.ts'
import type { SimulatedNetwork } from './network.ts'
import type { FaultKind, Scenario } from './scenario.ts'
import type { Scheduler, SimulatedThread } from './scheduler.ts'
import type { SimulatedRelay } from './simulatedRelay.ts'

/** What faults befall. */
export interface FaultTargets {
  readonly scheduler: Scheduler
  readonly network: SimulatedNetwork
  readonly relay: SimulatedRelay
  machines(): readonly Machine[]
  /** A machine is gone, and another one comes. */
  replace(machine: Machine): void
  note(what: string): void
}

/** Lets faults happen, each kind as often as the scenario says, until told to end. */
export class Faults {
  readonly #targets: FaultTargets
  readonly #world: SimulatedThread
  #over = false
  /** A stop of the relay that is under way. */
  #restarting = false

  constructor(scenario: Scenario, targets: FaultTargets) {
    this.#targets = targets
    this.#world = targets.scheduler.current
    const happenings: Readonly<Record<FaultKind, () => void>> = {
      cut: () => this.#cut(),
      freezeLink: () => this.#freezeLink(),
      closeNetwork: () => this.#closeNetwork(),
      freezeMachine: () => this.#freezeMachine(),
      freezeRelay: () => this.#freezeRelay(),
      killMachine: () => this.#killMachine(),
      restartRelay: () => this.#restartRelay(),
    }
    for (const [kind, happen] of Object.entries(happenings)) {
      const meanMs = scenario.faults[kind as FaultKind] // the keys of the record above
      if (Number.isFinite(meanMs)) this.#repeat(meanMs, happen)
    }
  }

  end(): void {
    this.#over = true
  }

  #repeat(meanMs: number, happen: () => void): void {
    this.#world.after(this.#targets.scheduler.random.waitMs(meanMs), () => {
      if (this.#over) return
      happen()
      this.#repeat(meanMs, happen)
    })
  }

  #cut(): void {
    const { network, scheduler, note } = this.#targets
    const open = network.connections.filter(({ endpoint, relay }) => !endpoint.gone && !relay.gone)
    if (open.length === 0) return
    const connections = scheduler.random.chance(0.2) ? open : [scheduler.random.pick(open)]
    const style = scheduler.random.pick(['both', 'both', 'endpoint', 'relay', 'none'] as const)
    note(`the network cuts ${connections.length} of ${open.length}; told: ${style}`)
    for (const connection of connections) network.cut(connection, style)
  }

  #freezeLink(): void {
    const { network, scheduler, note } = this.#targets
    if (network.connections.length === 0) return
    const durationMs = scheduler.random.waitMs(scheduler.random.pick([100, 1_000, 5_000]))
    note(`the network freezes a link for ${Math.round(durationMs)} ms`)
    network.freeze(scheduler.random.pick(network.connections), durationMs)
  }

  #closeNetwork(): void {
    const { network, scheduler, note } = this.#targets
    const durationMs = scheduler.random.waitMs(1_000)
    note(`nobody can connect for ${Math.round(durationMs)} ms`)
    network.closedUntilMs = scheduler.nowMs + durationMs
  }

  #freezeMachine(): void {
    const { scheduler, note } = this.#targets
    const { random } = scheduler
    const machines = this.#targets.machines()
    if (machines.length === 0) return
    const machine = random.pick(machines)
    const what = random.pick(['program', 'program', 'io', 'all'] as const)
    const durationMs = random.waitMs(random.pick([200, 1_000, 4_000]))
    note(`${machine.program.name} is frozen for ${Math.round(durationMs)} ms: ${what}`)
    machine.freeze(what, durationMs)
  }

  #freezeRelay(): void {
    const { scheduler, relay, note } = this.#targets
    const durationMs = scheduler.random.waitMs(scheduler.random.pick([200, 1_000, 4_000]))
    note(`the relay is frozen for ${Math.round(durationMs)} ms`)
    relay.thread.freeze(durationMs)
  }

  #killMachine(): void {
    const { scheduler, note } = this.#targets
    const machines = this.#targets.machines()
    if (machines.length === 0) return
    const machine = scheduler.random.pick(machines)
    const told = scheduler.random.chance(0.7)
    note(`${machine.program.name} is killed${told ? '' : ', silently'}`)
    machine.kill(told)
    this.#targets.replace(machine)
  }

  #restartRelay(): void {
    const { scheduler, relay } = this.#targets
    const { random } = scheduler
    if (this.#restarting) return
    this.#restarting = true
    const startMs = random.waitMs(1_000)
    const startAgain = () => {
      this.#restarting = false
      void relay.start()
    }
    if (random.chance(0.7)) {
      const told = random.chance(0.7)
      let isKilled = false
      const kill = () => {
        if (isKilled) return
        isKilled = true
        relay.kill(told)
        this.#world.after(startMs, startAgain)
      }
      // What a commit holds and should not, or does not hold and should, is seen if it was the last one.
      const isAfterCommit = random.chance(0.5)
      if (isAfterCommit) relay.store.onSynced = () => this.#world.after(0, kill)
      this.#world.after(isAfterCommit ? 100 : 0, kill)
      return
    }
    relay.thread.after(0, () => {
      void relay.stop(random.pick([0, 500])).then(() => {
        relay.kill(true)
        this.#world.after(startMs, startAgain)
      })
    })
  }

  /** Whether the relay is between two of its lives. */
  get relayIsAway(): boolean {
    return this.#restarting
  }
}
