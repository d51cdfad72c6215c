import { addressPrefixes } from '../security/address.ts'
import type { Transport } from './transport.ts'

/** How far a connection has come. */
export type PendingStage =
  /** It has still to say something that the relay understands. */
  | 'quiet'
  /** Its login waits for its turn: it is the relay that is to speak. */
  | 'queued'
  /** Its login was answered. */
  | 'answered'
  /** It has proven the password, and has still to say who it is. */
  | 'proven'

/** A connection whose channel stands, and which has still to prove the password. */
export interface PendingConnection {
  readonly transport: Transport
  /** It has come so far by a whole step. */
  reached(stage: PendingStage): void
  /** To be called when it was accepted: only then it is no longer under the bounds of the unauthenticated. */
  authenticated(): void
}

/** Why a connection has to go: it was silent for too long, or there was no place for it. */
export type EvictionReason = 'silent' | 'crowded'

/** The place of one connection. */
export class PendingPlace {
  readonly prefixes: readonly string[]
  stage: PendingStage = 'quiet'
  /** Since when its peer is to speak; silence before that is in `silentMs`. */
  sinceMs: number
  silentMs = 0
  /** In which round it came: it is given one to say something. */
  readonly round: number
  readonly end: (reason: EvictionReason) => void

  constructor(
    prefixes: readonly string[],
    { sinceMs, round }: { readonly sinceMs: number; readonly round: number },
    end: (reason: EvictionReason) => void,
  ) {
    this.prefixes = prefixes
    this.sinceMs = sinceMs
    this.round = round
    this.end = end
  }
}

/**
 * The connections that have not proven the password: how many there may be, and how long each may be silent. Time is what the owner says
 * has passed while it listened, so that a peer is not blamed for what the relay had no time to read.
 *
 * When places are scarce, the connection goes that has been silent for longest, weighed with how many there are from the same network:
 * a stranger who opens thousands of connections displaces his own, and an endpoint, which speaks at once, keeps its place. Half of
 * the places are for those who have just come; they do not go for others who have come further. What is queued is bounded by its queue.
 */
export class PendingConnections {
  readonly #placesMax: number
  readonly #silentMsMax: number
  /** Silent for longest first, within each stage. */
  readonly #places = new Set<PendingPlace>()
  /** Those that are quiet, by their network; in each, silent for longest first. */
  readonly #quiet = new Map<string, Set<PendingPlace>>()
  #quietCount = 0
  #nowMs = 0
  #round = 0

  constructor({ placesMax, silentMsMax }: { readonly placesMax: number; readonly silentMsMax: number }) {
    this.#placesMax = placesMax
    this.#silentMsMax = silentMsMax
  }

  get size(): number {
    return this.#places.size
  }

  /** Whether {@link makeRoom} has something to do, now or in the next round. */
  get isCrowded(): boolean {
    return this.#places.size > this.#placesMax
  }

  /** A connection came. It is let in whatever there is: who has to go for it is found out when it could have said something. */
  enter(address: string, end: (reason: EvictionReason) => void): PendingPlace {
    if (this.#places.size >= 2 * this.#placesMax) this.#evictQuiet(this.#round + 1)
    const place = new PendingPlace(addressPrefixes(address), { sinceMs: this.#nowMs, round: this.#round }, end)
    this.#add(place)
    return place
  }

  /** It said something that is not yet a whole step: it does not go before those that said nothing. */
  reached(place: PendingPlace, stage: PendingStage): void {
    if (!this.#places.has(place)) return
    this.#remove(place)
    if (place.stage !== 'queued') place.silentMs += this.#nowMs - place.sinceMs
    place.sinceMs = this.#nowMs
    place.stage = stage
    this.#add(place)
  }

  leave(place: PendingPlace): void {
    this.#remove(place)
  }

  /** So much time passed in which the peers were listened to. */
  passTime(ms: number): void {
    this.#nowMs += ms
    for (const place of [...this.#places]) {
      if (place.stage === 'queued') continue
      if (place.silentMs + this.#nowMs - place.sinceMs < this.#silentMsMax) continue
      this.#remove(place)
      place.end('silent')
    }
  }

  /** Everything that came was read since the last call, but for those that came since then: who has no place has to go. */
  makeRoom(): void {
    const round = this.#round++
    while (this.isCrowded) {
      const isQuietFirst = this.#quietCount > this.#placesMax / 2
      const isDone = isQuietFirst
        ? this.#evictQuiet(round) || this.#evictOther()
        : this.#evictOther() || this.#evictQuiet(round)
      if (!isDone) break
    }
  }

  /** Of those that came before the round. */
  #evictQuiet(beforeRound: number): boolean {
    let worst: PendingPlace | undefined
    let worstScore = -1
    for (const places of this.#quiet.values()) {
      const [first] = places
      if (first === undefined || first.round >= beforeRound) continue
      const score = (this.#nowMs - first.sinceMs + 1) * places.size
      if (score <= worstScore) continue
      worst = first
      worstScore = score
    }
    return this.#evict(worst)
  }

  #evictOther(): boolean {
    for (const place of this.#places)
      if (place.stage === 'answered' || place.stage === 'proven') return this.#evict(place)
    return false
  }

  #evict(place: PendingPlace | undefined): boolean {
    if (place === undefined) return false
    this.#remove(place)
    place.end('crowded')
    return true
  }

  #add(place: PendingPlace): void {
    this.#places.add(place)
    if (place.stage !== 'quiet') return
    this.#quietCount++
    const network = networkOf(place)
    const others = this.#quiet.get(network)
    if (others === undefined) this.#quiet.set(network, new Set([place]))
    else others.add(place)
  }

  #remove(place: PendingPlace): void {
    this.#places.delete(place)
    const network = networkOf(place)
    const others = this.#quiet.get(network)
    if (others?.delete(place) === true) this.#quietCount--
    if (others?.size === 0) this.#quiet.delete(network)
  }
}

/** What one customer may have. */
function networkOf({ prefixes }: PendingPlace): string {
  return prefixes.at(-1) ?? ''
}
