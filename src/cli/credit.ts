import { usageError } from './commandContext.ts'
import { parseCount } from './units.ts'

/** How many produced objects `receive` asks for. */
export type Demand =
  | { readonly kind: 'none' }
  | { readonly kind: 'all' }
  | { readonly kind: 'some'; readonly count: number }
  | { readonly kind: 'continuous' }

/** Objects per group that are asked for at once while more are wanted. */
const windowObjects = 64

/** `--notify N|all|continuous|none`. */
export function parseDemand(text: string | undefined): Demand {
  if (text === undefined || text === 'continuous') return { kind: 'continuous' }
  if (text === 'all' || text === 'none') return { kind: text }
  const count = parseCount(text)
  if (count !== undefined && count > 0) return { kind: 'some', count }
  throw usageError(
    '--notify',
    `is ${JSON.stringify(text)}; it must be a number from 1 on, 'all', 'continuous' or 'none'`,
  )
}

/** Asks for produced objects as they are used up, and never for more than the command is going to take. */
export class Credit {
  readonly #ask: (counts: Record<string, number>) => Promise<unknown> | unknown
  readonly #window: number

  constructor(ask: (counts: Record<string, number>) => Promise<unknown> | unknown, count: number | undefined) {
    this.#ask = ask
    this.#window = Math.min(windowObjects, count ?? windowObjects)
  }

  /** The first request, for each of the groups. */
  async begin(groups: readonly string[], demand: Demand): Promise<void> {
    if (demand.kind === 'none') return
    const count = demand.kind === 'all' ? -1 : demand.kind === 'some' ? demand.count : this.#window
    await this.#ask(Object.fromEntries(groups.map((group) => [group, count])))
  }

  /** A produced object of the group was used; `remaining` are those that the command still takes. */
  async used(group: string, demand: Demand, remaining: number): Promise<void> {
    // With so few to go, those that are asked for already are enough.
    if (demand.kind === 'continuous' && remaining >= this.#window) await this.#ask({ [group]: 1 })
  }
}
