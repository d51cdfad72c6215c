import type { EndpointEvents, Relay, RelayEvents } from 'objectrelay'
import { textsOf } from './failures.ts'

const relayEvents: readonly (keyof RelayEvents)[] = [
  'endpointConnected',
  'endpointLost',
  'endpointLeft',
  'endpointRefused',
  'objectDropped',
  'objectDead',
  'leasesRevoked',
  'warning',
  'error',
]
const endpointEvents: readonly (keyof EndpointEvents)[] = [
  'connecting',
  'connected',
  'reconnecting',
  'disconnected',
  'error',
  'sessionLost',
]

/** Writes down every text that a program could come to see. */
export class Witness {
  readonly texts: string[] = []

  relay(relay: Relay): Relay {
    for (const name of relayEvents) relay.on(name, (value) => this.texts.push(`${name} ${JSON.stringify(value)}`))
    return relay
  }

  /** Listeners for the option `on`, so that nothing is missed. */
  get listeners(): { [Name in keyof EndpointEvents]?: (value: unknown) => void } {
    return Object.fromEntries(
      endpointEvents.map((name) => [
        name,
        (value: unknown) => {
          const error = typeof value === 'object' && value !== null && 'error' in value ? value.error : value
          this.texts.push(`${name} ${JSON.stringify(value)} ${textsOf(error)}`)
        },
      ]),
    )
  }

  error(error: Error): void {
    this.texts.push(textsOf(error))
  }
}
