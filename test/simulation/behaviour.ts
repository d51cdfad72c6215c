import type { SeededRandom } from './random.ts'
import type { Scenario } from './scenario.ts'
import type { SimulatedEndpoint } from './simulatedEndpoint.ts'

/** How a program takes what comes. */
export type Habit = 'popper' | 'newest' | 'iterator' | 'worker' | 'sleeper'

export const habits: readonly Habit[] = [
  'popper',
  'popper',
  'iterator',
  'iterator',
  'worker',
  'worker',
  'newest',
  'sleeper',
]

/** What one program does of its own accord: now this, now that, with pauses. */
export class Behaviour {
  readonly endpoint: SimulatedEndpoint
  readonly #habit: Habit
  readonly #scenario: Scenario
  readonly #random: SeededRandom
  readonly #sends: boolean
  #over = false

  constructor(endpoint: SimulatedEndpoint, habit: Habit, scenario: Scenario, random: SeededRandom) {
    this.endpoint = endpoint
    this.#habit = habit
    this.#scenario = scenario
    this.#random = random
    this.#sends = random.chance(0.75)
    if (habit === 'worker') this.#beginWork()
    this.#pause()
  }

  /** From now on it does nothing more. */
  end(): void {
    this.#over = true
  }

  #pause(): void {
    this.endpoint.machine.program.after(this.#random.waitMs(this.#scenario.pauseMs), () => {
      if (this.#over || !this.endpoint.running) return
      if (this.#sends && this.#random.chance(0.5)) this.#send()
      else this.#receive()
      this.#pause()
    })
  }

  #send(): void {
    const { endpoint } = this
    const { groups, largeObjects } = this.#scenario
    const random = this.#random
    const isLarge = largeObjects && random.chance(0.05)
    const bytes = isLarge
      ? random.integer(128 * 1024, 600 * 1024)
      : random.chance(0.1)
        ? random.integer(0, 20_000)
        : random.integer(0, 300)
    const group = random.pick(groups)
    const what = random.next()
    if (what < 0.45) endpoint.send({ [group]: 1 }, bytes)
    else if (what < 0.6) {
      for (let left = random.integer(2, 30); left > 0; left--) endpoint.send({ [group]: 1 }, random.integer(0, 300))
    } else if (what < 0.7) {
      const counts = random.some(groups, 0.4).map((name) => [name, this.#copiesFor(name)] as const)
      endpoint.send(Object.fromEntries(counts), bytes)
    } else if (what < 0.75) {
      endpoint.send(Object.fromEntries(groups.map((name) => [name, random.pick([-1, 0, 1])])), bytes)
    } else if (what < 0.78) endpoint.clearRetained(random.chance(0.8) ? [group] : groups)
    else {
      const how = { replace: random.chance(0.5), retain: random.chance(0.7) }
      endpoint.broadcast(random.chance(0.8) ? [group] : random.some(groups, 0.5), bytes, how)
    }
  }

  /** Where nothing may wait, several copies need as many takers at once, which there may never be. */
  #copiesFor(group: string): number {
    return this.#scenario.acceptedGroups?.[group]?.maxConsumables === 0 ? 1 : this.#random.pick([1, 2, 3, 8])
  }

  #receive(): void {
    const { endpoint } = this
    const random = this.#random
    const group = endpoint.groups.length > 0 ? random.pick(endpoint.groups) : undefined
    if (group === undefined) return
    switch (this.#habit) {
      case 'popper':
      case 'newest':
        this.#popOrAsk(group)
        return
      case 'iterator':
        if (random.chance(0.3)) endpoint.notify(group, random.integer(1, 4))
        else if (random.chance(0.2)) endpoint.settle(random.chance(0.5) ? 'ack' : 'release')
        else endpoint.iterate()
        return
      case 'worker':
        if (random.chance(0.02)) {
          endpoint.stopWorks()
          this.#beginWork()
        } else void endpoint.take('all', {})
        return
      case 'sleeper':
        if (random.chance(0.05)) endpoint.notify(group, random.integer(1, 3))
    }
  }

  #popOrAsk(group: string): void {
    const random = this.#random
    if (random.chance(0.4)) this.endpoint.notify(group, random.chance(0.2) ? -1 : random.integer(1, 10))
    else if (this.#habit === 'newest') void this.endpoint.take('newest', { maxItems: random.integer(1, 3) })
    else if (random.chance(0.1)) void this.endpoint.take('all', {})
    else {
      const blocking = random.chance(0.3)
      const timeoutMs = blocking ? random.integer(1, 500) : 0
      void this.endpoint.take('oldest', { maxItems: random.integer(1, 5), blocking, timeoutMs })
    }
  }

  #beginWork(): void {
    const random = this.#random
    for (const group of this.endpoint.groups) {
      this.endpoint.work(group, random.integer(1, 3), () => ({
        durationMs: random.waitMs(this.#scenario.pauseMs),
        fails: !this.#over && random.chance(0.05),
      }))
    }
  }
}
