import { Behaviour, habits } from './behaviour.ts'
import { Machine } from './machine.ts'
import type { SimulatedNetwork } from './network.ts'
import { makeEndpointLimits, type Scenario } from './scenario.ts'
import type { Scheduler, SimulatedThread } from './scheduler.ts'
import { SimulatedEndpoint, type Surroundings } from './simulatedEndpoint.ts'

/** The machines and endpoints of a simulation: they come, stop, are killed, and others come. */
export class Population {
  readonly endpoints: SimulatedEndpoint[] = []
  machines: Machine[] = []
  readonly #scheduler: Scheduler
  readonly #network: SimulatedNetwork
  readonly #scenario: Scenario
  readonly #surroundings: Surroundings
  readonly #world: SimulatedThread
  readonly #behaviours: Behaviour[] = []
  #machineNumber = 0
  #over = false

  constructor(scheduler: Scheduler, network: SimulatedNetwork, scenario: Scenario, surroundings: Surroundings) {
    this.#scheduler = scheduler
    this.#network = network
    this.#scenario = scenario
    this.#surroundings = surroundings
    this.#world = scheduler.current
    for (let left = scenario.machines; left > 0; left--) this.#addMachine()
    this.#retireLater()
  }

  get running(): SimulatedEndpoint[] {
    return this.endpoints.filter((endpoint) => endpoint.running)
  }

  /** Another machine takes the place of one that was killed, some time later. */
  replace(machine: Machine): void {
    this.machines = this.machines.filter((other) => other !== machine)
    this.#world.after(this.#scheduler.random.waitMs(1_000), () => {
      if (!this.#over) this.#addMachine()
    })
  }

  /** No program does anything of its own accord any more. */
  calmDown(): void {
    this.#over = true
    for (const behaviour of this.#behaviours) behaviour.end()
  }

  /** An endpoint that takes all that is in these groups, and does nothing else. */
  addSweeper(groups: readonly string[]): void {
    const [machine = this.#addMachine()] = this.machines
    this.#addEndpoint(machine, groups)
  }

  #addMachine(): Machine {
    const machine = new Machine(`m${++this.#machineNumber}`, this.#scheduler, this.#network)
    this.machines.push(machine)
    if (this.#over) return machine
    for (let left = this.#scenario.endpointsPerMachine; left > 0; left--) this.#addProgram(machine)
    return machine
  }

  #addProgram(machine: Machine): void {
    const { random } = this.#scheduler
    const { groups } = this.#scenario
    const joined = random.chance(0.1) ? [] : random.some(groups, 0.5)
    // Some look after what died.
    const dead = random.chance(0.2) ? [`${random.pick(groups)}.dead`] : []
    const habit = random.pick(habits)
    const endpoint = this.#addEndpoint(machine, [...joined, ...dead])
    this.#surroundings.note(
      `e${endpoint.serial} on ${machine.program.name}: a ${habit} in ${endpoint.groups.join(', ')}`,
    )
    endpoint.witness.discards = habit === 'newest'
    machine.program.after(0, () => this.#behaviours.push(new Behaviour(endpoint, habit, this.#scenario, random)))
    // Some give up in the middle of their first attempt, as `Endpoint.connect` does at its timeout.
    if (random.chance(0.15)) machine.program.after(random.next() * random.pick([20, 400]), () => void endpoint.stop(0))
  }

  #addEndpoint(machine: Machine, groups: readonly string[]): SimulatedEndpoint {
    const { random } = this.#scheduler
    const endpoint = new SimulatedEndpoint(
      {
        serial: this.endpoints.length + 1,
        machine,
        groups,
        broadcasts: random.chance(0.7) ? 'every' : 'latest',
        limits: makeEndpointLimits(random),
      },
      this.#surroundings,
    )
    this.endpoints.push(endpoint)
    return endpoint
  }

  /** Now and then one stops as it should, and another comes in its process. */
  #retireLater(): void {
    const { random } = this.#scheduler
    this.#world.after(random.waitMs(6_000), () => {
      if (this.#over) return
      this.#retireLater()
      if (this.running.length === 0) return
      const connecting = this.running.filter(({ program }) => program.status.condition !== 'connected')
      const endpoint = random.pick(connecting.length > 0 && random.chance(0.5) ? connecting : this.running)
      const { machine } = endpoint
      machine.program.after(0, () => void endpoint.stop(random.pick([0, 200, 5_000]), random.pick([0, 100, 2_000])))
      machine.program.after(random.waitMs(1_000), () => {
        if (!this.#over) this.#addProgram(machine)
      })
    })
  }
}
