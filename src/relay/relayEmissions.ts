import { fromPlainError, type ObjectRelayError } from '../errors.ts'
import { type Listeners, TypedEvents } from '../events.ts'
import { failExitCode, UnheardErrors } from '../unheardErrors.ts'
import { type RelayEventMessage, type RelayEvents, relayEventNames } from './relayEvents.ts'

/** The events of a relay, as they come from its thread, on their way to the program. */
export class RelayEmissions {
  readonly listeners: TypedEvents<RelayEvents>
  /** Where it listens; 0 before it does. */
  port = 0
  readonly #unheard = new UnheardErrors('relay')

  constructor(listeners: Listeners<RelayEvents> | undefined) {
    this.listeners = new TypedEvents(relayEventNames, listeners)
  }

  pass(event: RelayEventMessage): void {
    if (event.name === 'error') {
      this.fail(fromPlainError(event.value.error))
      return
    }
    const isHeard = this.listeners.emit(event.name, event.value as never) // the pair of a RelayEventMessage fits by its type
    // A warning that nobody listens to must not be lost.
    if (event.name !== 'warning' || isHeard) return
    const { code, message } = event.value
    process.emitWarning(message, { type: 'ObjectRelayWarning', code })
  }

  /** The relay is at its end, which nobody asked for. */
  fail(error: ObjectRelayError): void {
    if (this.listeners.emit('error', error)) return
    const consequence = failExitCode() ? ' The exit code of the program is set to 1.' : ''
    this.#unheard.tell(error, `on port ${this.port}`, consequence)
  }
}
