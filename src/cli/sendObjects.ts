import { createError, type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import type { InputItem } from './inputs.ts'
import { raceSignal } from './interrupt.ts'

/** Objects and bytes that may be on their way at once: enough to keep a link busy, little to hold in memory. */
export interface SendWindow {
  readonly objects: number
  readonly bytes: number
}

export const sendWindow: SendWindow = { objects: 512, bytes: 16 * 1024 * 1024 }

/** What became of the objects. */
export interface SendOutcome {
  accepted: number
  acceptedBytes: number
  rejected: number
  /** Were on their way when the sending was ended: the relay may have them or not. */
  unanswered: number
  /** Members of each group when the last object was accepted. */
  members: Readonly<Record<string, number>>
  /** Why the first object was not accepted. */
  firstError: ObjectRelayError | undefined
}

export interface SendActions {
  readonly send: (item: InputItem) => Promise<{ readonly members: Readonly<Record<string, number>> }>
  readonly onRejected: (item: InputItem, error: ObjectRelayError) => void
}

/** Sends what the input gives, a window of it at a time, and counts what became of it. */
export class ObjectSending {
  readonly outcome: SendOutcome = {
    accepted: 0,
    acceptedBytes: 0,
    rejected: 0,
    unanswered: 0,
    members: {},
    firstError: undefined,
  }
  readonly #actions: SendActions
  readonly #window: SendWindow
  /** Aborted when going on makes no sense; the input listens to it. */
  readonly #end = new AbortController()
  #objects = 0
  #bytes = 0
  #wake: () => void = () => undefined

  constructor(actions: SendActions, window: SendWindow = sendWindow) {
    this.#actions = actions
    this.#window = window
  }

  /** For the input, which should stop reading when this is aborted. */
  get signal(): AbortSignal {
    return this.#end.signal
  }

  /** Stops taking from the input; `run` then rejects with the reason. What is on its way goes on. */
  abort(reason: unknown): void {
    this.#end.abort(reason)
    this.#wake()
  }

  /** Resolves when all of the input was answered by the relay. Rejects when the input, the link or `abort` ends it. */
  async run(items: AsyncIterable<InputItem>): Promise<void> {
    const iterator = items[Symbol.asyncIterator]()
    for (;;) {
      const next = await raceSignal(iterator.next(), this.signal)
      if (next.done === true) break
      await this.#until(() => this.#hasRoom(next.value.bytes))
      this.#send(next.value)
    }
    await this.#until(() => this.#objects === 0)
  }

  /** An object that is larger than the window goes alone. */
  #hasRoom(bytes: number): boolean {
    return this.#objects === 0 || (this.#objects < this.#window.objects && this.#bytes + bytes <= this.#window.bytes)
  }

  async #until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      this.signal.throwIfAborted()
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.signal.throwIfAborted()
  }

  #send(item: InputItem): void {
    this.#objects += 1
    this.#bytes += item.bytes
    this.#actions.send(item).then(
      ({ members }) => {
        this.#left(item)
        this.outcome.accepted += 1
        this.outcome.acceptedBytes += item.bytes
        this.outcome.members = members
      },
      (thrown: unknown) => {
        this.#left(item)
        this.#rejected(item, toObjectRelayError(thrown, 'INVALID_ARGUMENT'))
      },
    )
  }

  #left(item: InputItem): void {
    this.#objects -= 1
    this.#bytes -= item.bytes
    // Whoever waits looks again after this turn, when the counts are right.
    queueMicrotask(() => this.#wake())
  }

  #rejected(item: InputItem, error: ObjectRelayError): void {
    // What fails after the end fails because of it, and has been given its reason already.
    if (this.signal.aborted) {
      this.outcome.unanswered += 1
      return
    }
    this.outcome.rejected += 1
    this.outcome.firstError ??= error
    this.#actions.onRejected(item, error)
    // A full queue, or an object that cannot be sent, is no reason not to try the next one.
    if (error.category !== 'full' && error.code !== 'NOT_SERIALIZABLE') this.abort(error)
  }
}

/** The error that a command ends with when not all objects were accepted. */
export function notAllAccepted({ accepted, rejected, firstError }: SendOutcome): ObjectRelayError {
  const code = firstError?.code ?? 'QUEUE_FULL'
  return createError(
    code,
    `${rejected} of ${accepted + rejected} objects were not accepted; the first because: ${firstError?.message ?? 'unknown'}`,
    { cause: firstError, details: { accepted, rejected } },
  )
}
