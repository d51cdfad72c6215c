import { createError, type ErrorCode, type ObjectRelayError } from '../../errors.ts'
import type { TypedEvents } from '../../events.ts'
import { fixedLimits } from '../../limits.ts'
import { failExitCode, UnheardErrors } from '../../unheardErrors.ts'
import type { EndpointEvents } from './endpointTypes.ts'

interface WaitingError {
  error: ObjectRelayError
  count: number
}

/**
 * Events on their way to the program's listeners: they are called when the call or the record at hand is done with, in the order in
 * which things happened. So a listener may do whatever the program may, blocking its thread included, and finds the
 * endpoint in no half-done state. Errors that come in masses are counted instead of told one by one.
 */
export class EventQueue {
  readonly #events: TypedEvents<EndpointEvents>
  readonly #where: () => string
  readonly #unheard = new UnheardErrors('endpoint')
  #waiting: (() => void)[] = []
  /** By code: the errors that wait, of which the last one may stand for many. */
  readonly #errors = new Map<ErrorCode, WaitingError[]>()

  /** `where` says which endpoint it is. */
  constructor(events: TypedEvents<EndpointEvents>, where: () => string) {
    this.#events = events
    this.#where = where
  }

  tell<Name extends Exclude<keyof EndpointEvents, 'error'>>(name: Name, value: EndpointEvents[Name]): void {
    this.#add(() => this.#events.emit(name, value))
  }

  /** Something failed. */
  report(error: ObjectRelayError): void {
    let waiting = this.#errors.get(error.code)
    if (waiting === undefined) {
      waiting = []
      this.#errors.set(error.code, waiting)
    }
    const last = waiting.at(-1)
    if (last !== undefined && (last.error === error || waiting.length >= fixedLimits.errorEventsMax)) {
      last.error = error
      last.count++
      return
    }
    const entry = { error, count: 1 }
    waiting.push(entry)
    this.#add(() => {
      this.#errors.delete(error.code)
      const event = entry.count === 1 ? entry.error : forMany(entry)
      if (!this.#events.emit('error', event)) this.#unheard.tell(event, this.#where())
    })
  }

  /** The endpoint is at its end for good, which no call of the program asked for; `wasTold`: a call that was waited for failed with it. */
  end(error: ObjectRelayError, wasTold: boolean): void {
    this.#add(() => {
      const isHeard = this.#events.emit('disconnected', { error })
      if (this.#events.emit('error', error) || isHeard || wasTold) return
      const consequence = failExitCode() ? ' The exit code of the program is set to 1.' : ''
      this.#unheard.tell(error, this.#where(), consequence)
    })
  }

  #add(event: () => void): void {
    if (this.#waiting.length === 0) queueMicrotask(() => this.#flush())
    this.#waiting.push(event)
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const event of waiting) event()
  }
}

function forMany({ error, count }: WaitingError): ObjectRelayError {
  const { code, message, details } = error
  return createError(code, `${message} It stands for ${count} errors of this code.`, {
    details: { ...details, count },
    cause: error,
  })
}
