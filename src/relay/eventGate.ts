import type { Clock } from '../clock.ts'
import type { BrokerEvent } from '../core/ports.ts'
import { type ObjectRelayError, toPlainError } from '../errors.ts'
import type { EventOfEndpoint, RelayEventMessage } from './relayEvents.ts'

/** So many refusals are reported one by one within a second; an attack must not become a flood of events. */
const REFUSALS_PER_SECOND = 20
/** Drops of one kind are gathered for this long. */
const GATHER_MS = 50

/** Where events go, and what they are completed with. */
export interface EventOutlet {
  emit(event: RelayEventMessage): void
  /** What people call an endpoint that has a session. */
  nameOf(endpoint: string): string
}

/** Who was turned away: an address, and the endpoint if it has said who it is. */
export interface RefusedPeer extends Partial<EventOfEndpoint> {
  readonly peer: string
}

/** Gathers and thins out what the relay reports, so that neither a full queue nor an attack floods the program. */
export class EventGate {
  readonly #clock: Clock
  readonly #outlet: EventOutlet
  readonly #gathered = new Map<string, { event: RelayEventMessage; add(count: number): void }>()
  #secondBeganMs = Number.NEGATIVE_INFINITY
  #refusals = 0
  #suppressed = 0
  /** Peers turned away since the relay began. */
  refused = 0

  constructor(clock: Clock, outlet: EventOutlet) {
    this.#clock = clock
    this.#outlet = outlet
  }

  emit(event: RelayEventMessage): void {
    this.#outlet.emit(event)
  }

  refusal(error: ObjectRelayError, refused: RefusedPeer): void {
    this.refused++
    const nowMs = this.#clock.nowMs()
    if (nowMs - this.#secondBeganMs >= 1_000) {
      this.#secondBeganMs = nowMs
      this.#refusals = 0
    }
    if (++this.#refusals > REFUSALS_PER_SECOND) {
      this.#suppressed++
      return
    }
    this.#outlet.emit({
      name: 'endpointRefused',
      value: { ...refused, error: toPlainError(error), suppressed: this.#suppressed },
    })
    this.#suppressed = 0
  }

  broker(event: BrokerEvent): void {
    switch (event.type) {
      case 'objectDropped': {
        const { group, kind, reason, count, session } = event
        const value = { group, kind, reason, count, ...(session === undefined ? {} : this.#endpoint(session)) }
        this.#gather(
          `dropped ${kind} ${reason} ${session ?? ''} ${group}`,
          { name: 'objectDropped', value },
          value,
          count,
        )
        return
      }
      case 'objectDead': {
        const { group, deadLetter } = event
        const { attempts, reason, endpoint, name = '', error } = deadLetter
        const value = {
          ...{ group, attempts, reason, endpoint, name, count: 1 },
          ...(error === undefined ? {} : { error }),
        }
        this.#gather(`dead ${attempts} ${reason} ${endpoint} ${group}`, { name: 'objectDead', value }, value, 1)
        return
      }
      case 'leasesRevoked':
        this.#outlet.emit({ name: 'leasesRevoked', value: { ...this.#endpoint(event.session), count: event.count } })
        return
      case 'sessionExpired':
        this.#outlet.emit({ name: 'endpointLeft', value: { ...this.#endpoint(event.session), reason: 'grace' } })
    }
  }

  #endpoint(endpoint: string): EventOfEndpoint {
    return { endpoint, name: this.#outlet.nameOf(endpoint) }
  }

  #gather(key: string, event: RelayEventMessage, value: { count: number }, count: number): void {
    const known = this.#gathered.get(key)
    if (known !== undefined) {
      known.add(count)
      return
    }
    if (this.#gathered.size === 0) this.#clock.after(GATHER_MS, () => this.flush())
    this.#gathered.set(key, {
      event,
      add(more) {
        value.count += more
      },
    })
  }

  /** Reports what was gathered. */
  flush(): void {
    const gathered = [...this.#gathered.values()]
    this.#gathered.clear()
    for (const { event } of gathered) this.#outlet.emit(event)
  }
}
