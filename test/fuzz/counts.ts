/** What runs came to. */
export interface FuzzCounts {
  /** Misbehaving endpoints, or endpoints of a misbehaving relay. */
  peers: number
  /** Frames of lies. */
  frames: number
  /** Objects of an endpoint of a misbehaving relay that its program took. */
  taken: number
  /** Objects that the neighbours exchanged. */
  exchanged: number
  /** How often a relay was killed and started again. */
  restarts: number
  /** How often a relay then waited for what an endpoint claims. */
  awaited: number
  /** Leases that were claimed. */
  claims: number
  /** How often which error was told. */
  readonly refusals: Record<string, number>
  /** How often which lie was told. */
  readonly lies: Record<string, number>
}

export interface FuzzOptions {
  readonly counts: FuzzCounts
  /** Gets what happens, line by line. */
  note?(what: string): void
  /** Called now and then with the object bytes that the relay says it keeps. */
  measure?(keptBytes: number): Promise<void>
}

export function noCounts(): FuzzCounts {
  return { peers: 0, frames: 0, taken: 0, exchanged: 0, restarts: 0, awaited: 0, claims: 0, refusals: {}, lies: {} }
}

export function addTo(table: Record<string, number>, name: string): void {
  table[name] = (table[name] ?? 0) + 1
}

export function total(table: Readonly<Record<string, number>>): number {
  return Object.values(table).reduce((sum, count) => sum + count, 0)
}
