import { createError, type ObjectRelayError } from '../../errors.ts'
import { TIMER_MS_MAX } from '../../options.ts'
import type { CreditRequester } from './creditRequester.ts'
import { CheckedLater, type DeliveryDecoder, Unreadable } from './deliveryDecoder.ts'
import type { Inbox } from './inbox.ts'
import { type InboxEntry, takenAway } from './inboxRun.ts'
import type { IoChannel } from './ioChannel.ts'
import type { Settlement } from './settlement.ts'
import type { EndpointStatus } from './status.ts'
import type { CheckedTakeOptions } from './takeOptions.ts'

/** Ctrl-C and timers of a program that blocks get their turn between slices. */
const BLOCK_SLICE_MS = 100
/** How long to wait for the I/O to put more into the ring: it answers in less than one. */
const CATCH_UP_MS = 5
/** Each round brings about a ring full; so many are more than any inbox holds. */
const CATCH_UP_ROUNDS_MAX = 256

/** Objects that leave the inbox together, each with what it came in. */
export interface Batch {
  readonly objects: unknown[]
  readonly entries: InboxEntry[]
}

/**
 * One call that takes objects: what it wants, what it has, and, while it waits, what ends that. A class, and not closures that
 * know each other: with those each batch survived until the next full garbage collection, at twice the cost of all the rest.
 */
class TakeCall implements Batch {
  readonly options: CheckedTakeOptions
  readonly objects: unknown[] = []
  readonly entries: InboxEntry[] = []
  /** Taken and not looked at yet, the next one last; with `'newest'` only. */
  readonly newest: InboxEntry[] = []
  /** How many entries may still be looked at. */
  left = 0
  /** What a schema is still checking. */
  checked: { readonly entry: InboxEntry; readonly later: CheckedLater } | undefined
  #resolve: (batch: Batch) => void = () => undefined
  #reject: (reason: unknown) => void = () => undefined
  #timer: NodeJS.Timeout | undefined
  #aborted: (() => void) | undefined
  #over: 'late' | 'aborted' | undefined

  constructor(options: CheckedTakeOptions) {
    this.options = options
  }

  /** Whether its time is over, or its signal aborted it: what it is to end with as soon as it has no object in sight. */
  get isOver(): boolean {
    return this.#over !== undefined
  }

  /** Waits until `succeed` or `end`; calls `whenOver` when its time is over or its signal aborts it. */
  wait(whenOver: (call: TakeCall) => void): Promise<Batch> {
    const { timeoutMs, signal } = this.options
    signal?.throwIfAborted()
    if (timeoutMs <= TIMER_MS_MAX) {
      // What keeps the program alive is the endpoint.
      this.#timer = setTimeout(() => {
        this.#over ??= 'late'
        whenOver(this)
      }, timeoutMs).unref()
    }
    if (signal !== undefined) {
      this.#aborted = () => {
        this.#over ??= 'aborted'
        whenOver(this)
      }
      signal.addEventListener('abort', this.#aborted, { once: true })
    }
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  succeed(): void {
    this.#unwatch()
    this.#resolve(this)
  }

  /** Ends it with an error; or without objects; or, if it was over already, with what that means. */
  end(error?: ObjectRelayError): void {
    this.#unwatch()
    if (this.#over === 'aborted') this.#reject(this.options.signal?.reason)
    else if (this.#over === 'late' || error === undefined) this.#resolve(this)
    else this.#reject(error)
  }

  #unwatch(): void {
    clearTimeout(this.#timer)
    if (this.#aborted !== undefined) this.options.signal?.removeEventListener('abort', this.#aborted)
  }
}

/**
 * Takes objects out of the inbox for the calls of the program: at once, or when they come, first come first served. Decodes and
 * settles what is taken.
 */
export class Consumer {
  readonly #inbox: Inbox
  readonly #decoder: DeliveryDecoder
  readonly #settlement: Settlement
  readonly #credit: CreditRequester
  readonly #channel: IoChannel
  readonly #status: EndpointStatus
  readonly #inboxBytesMax: number
  #waiting: TakeCall[] = []
  #serving = false

  constructor(options: {
    inbox: Inbox
    decoder: DeliveryDecoder
    settlement: Settlement
    credit: CreditRequester
    channel: IoChannel
    status: EndpointStatus
    inboxBytesMax: number
  }) {
    this.#inbox = options.inbox
    this.#decoder = options.decoder
    this.#settlement = options.settlement
    this.#credit = options.credit
    this.#channel = options.channel
    this.#status = options.status
    this.#inboxBytesMax = options.inboxBytesMax
  }

  /**
   * Objects for one call; none if there are none, or at the timeout, or when the endpoint is stopped meanwhile. A promise only where
   * something has to be waited for. Throws, or rejects with, what keeps the call from taking any.
   */
  take(options: CheckedTakeOptions): Batch | Promise<Batch> {
    this.#checkPossible(options)
    this.#drain(options)
    const isBehind = this.#channel.port.peerSpills && this.#wantsMore(options)
    return isBehind ? this.#catchUp(options).then(() => this.#takeNow(options)) : this.#takeNow(options)
  }

  /** The same for a program that blocks its thread. */
  takeSync(options: CheckedTakeOptions): Batch {
    this.#checkPossible(options)
    if (options.blocking) this.#checkBlocking()
    const deadlineMs = performance.now() + options.timeoutMs
    for (;;) {
      this.#catchUpSync(options)
      this.#throwFailure()
      const call = this.#collectSync(options)
      if (call.objects.length > 0 || !options.blocking) return call
      const leftMs = deadlineMs - performance.now()
      if (leftMs <= 0) return call
      this.#channel.port.blockAndDrain(Math.min(BLOCK_SLICE_MS, leftMs))
    }
  }

  /** Objects arrived: serves who waits, once all that came together is here. */
  arrived(): void {
    if (this.#serving || this.#waiting.length === 0) return
    this.#serving = true
    queueMicrotask(() => this.#serve())
  }

  /** Ends all waiting: with an error, or with nothing; returns how many calls waited. */
  end(error?: ObjectRelayError): number {
    const waiting = this.#waiting
    this.#waiting = []
    for (const call of waiting) call.end(error)
    return waiting.length
  }

  #checkPossible({ signal }: CheckedTakeOptions): void {
    const obstacle = this.#status.receivingObstacle
    if (obstacle !== undefined) throw obstacle
    signal?.throwIfAborted()
  }

  #checkBlocking(): void {
    if (!this.#channel.canBlock) {
      throw createError(
        'INVALID_ARGUMENT',
        "With io: 'inline' the network runs on this very thread, so that a blocked thread would wait forever; use io: 'thread', or the call without Sync.",
        { details: { argument: 'blocking' } },
      )
    }
    if (this.#channel.encoding) {
      throw createError(
        'INVALID_ARGUMENT',
        'A getter, serializer or encode() waits for objects while the object that it is of is being encoded, and nothing that was asked meanwhile has left; take objects before or after.',
        { details: { argument: 'blocking' } },
      )
    }
  }

  #throwFailure(): void {
    if (this.#status.failure !== undefined) throw this.#status.failure
  }

  // ── what the I/O still holds ──────────────────────────────────────────────────────────────────

  /** Whether what the I/O still holds could change the result, and there is room for it here. */
  #wantsMore({ order, maxItems }: CheckedTakeOptions): boolean {
    if (order === 'oldest' && this.#inbox.objects >= maxItems) return false
    return this.#inbox.bytes < this.#inboxBytesMax
  }

  /** Reads what is in the ring, as far as it could change the result: one drain ends after some thousand records. */
  #drain(options: CheckedTakeOptions): void {
    let before: number
    do {
      before = this.#inbox.objects
      this.#channel.port.drain()
    } while (this.#inbox.objects > before && this.#wantsMore(options))
  }

  async #catchUp(options: CheckedTakeOptions): Promise<void> {
    const { port } = this.#channel
    for (let round = 0; round < CATCH_UP_ROUNDS_MAX && port.peerSpills && this.#wantsMore(options); round++) {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CATCH_UP_MS)
      })
      // Its last record may come before it says that it holds nothing back any more: then it does not wake this side again.
      const woken = port.nextWake()
      port.waker.wake()
      await Promise.race([woken, late])
      clearTimeout(timer)
      this.#drain(options)
    }
  }

  #catchUpSync(options: CheckedTakeOptions): void {
    const { port, canBlock } = this.#channel
    this.#drain(options)
    if (!canBlock) return
    for (let round = 0; round < CATCH_UP_ROUNDS_MAX && port.peerSpills && this.#wantsMore(options); round++) {
      port.waker.wake()
      port.blockAndDrain(CATCH_UP_MS)
      this.#drain(options)
    }
  }

  // ── waiting ───────────────────────────────────────────────────────────────────────────────────

  #takeNow(options: CheckedTakeOptions): Batch | Promise<Batch> {
    this.#throwFailure()
    const call = new TakeCall(options)
    if (options.blocking && this.#waiting.length > 0) return this.#wait(call)
    return this.#collect(call) ? this.#answer(call) : this.#collectRest(call).then(() => this.#answer(call))
  }

  #answer(call: TakeCall): Batch | Promise<Batch> {
    if (call.objects.length > 0 || !call.options.blocking || this.#status.receivingClosed) return call
    this.#throwFailure()
    return this.#wait(call)
  }

  #wait(call: TakeCall): Promise<Batch> {
    const waiting = call.wait((over) => this.#whenOver(over))
    this.#waiting.push(call)
    if (this.#inbox.objects > 0) this.arrived()
    return waiting
  }

  #whenOver(call: TakeCall): void {
    const index = this.#waiting.indexOf(call)
    // Not in the list while a schema checks its object: then that decides.
    if (index === -1) return
    this.#waiting.splice(index, 1)
    call.end()
  }

  #serve(): void {
    this.#serving = false
    while (this.#inbox.objects > 0) {
      const call = this.#waiting.shift()
      if (call === undefined) return
      if (this.#collect(call)) this.#served(call)
      else void this.#collectRest(call).then(() => this.#served(call))
    }
  }

  #served(call: TakeCall): void {
    const { failure, receivingClosed } = this.#status
    if (call.objects.length > 0) call.succeed()
    else if (call.isOver || failure !== undefined || receivingClosed) call.end(failure)
    else {
      this.#waiting.unshift(call)
      this.arrived()
    }
  }

  // ── collecting ────────────────────────────────────────────────────────────────────────────────

  /** Takes what the call wants of what is there now. False if a schema checks asynchronously: then `#collectRest` goes on. */
  #collect(call: TakeCall): boolean {
    this.#begin(call)
    if (!this.#advance(call)) return false
    this.#finish(call)
    return true
  }

  async #collectRest(call: TakeCall): Promise<void> {
    do {
      const { checked } = call
      this.#settlement.flush()
      if (checked !== undefined) this.#keep(call, checked.entry, await checked.later.object)
    } while (!this.#advance(call))
    this.#finish(call)
  }

  /** The same at once. Throws `INVALID_ARGUMENT`, and puts back what it took, if a schema checks asynchronously. */
  #collectSync(options: CheckedTakeOptions): Batch {
    const call = new TakeCall(options)
    if (this.#collect(call)) return call
    this.#putBack(call)
    throw needsTime(call.checked?.entry.group ?? '')
  }

  #begin(call: TakeCall): void {
    const { order } = call.options
    call.left = order === 'oldest' ? Number.POSITIVE_INFINITY : this.#inbox.objects
    if (order !== 'newest') return
    for (let entry = this.#takeOldest(); entry !== undefined; entry = this.#takeOldest()) call.newest.push(entry)
  }

  #takeOldest(): InboxEntry | undefined {
    const entry = this.#inbox.take()
    if (entry !== undefined) this.#settlement.taken(entry)
    return entry
  }

  /** Goes on until all is there (true) or an object has to be waited for (false). */
  #advance(call: TakeCall): boolean {
    const { order, maxItems, acknowledges } = call.options
    while (call.objects.length < maxItems && call.left > 0) {
      const entry = order === 'newest' ? call.newest.pop() : this.#takeOldest()
      if (entry === undefined) break
      call.left--
      // Whoever is handed it may end the process by it; so may a schema, or a serializer of the program's own.
      const isHanded = !acknowledges || this.#decoder.runsProgram(entry.group)
      if (isHanded && !this.#settlement.hand(entry)) continue
      const object = this.#decoder.decode(entry)
      if (object instanceof CheckedLater) {
        call.checked = { entry, later: object }
        return false
      }
      this.#keep(call, entry, object)
    }
    return true
  }

  #keep(call: TakeCall, entry: InboxEntry, object: unknown): void {
    // While its schema was checking, the endpoint was stopped, or its lease was lost: it is another member's.
    if (takenAway(entry) !== undefined) return
    if (object instanceof Unreadable) {
      // It was not what the program asked for: another member may read it, and this one is owed another object.
      this.#settlement.release(entry, { attemptCounted: true, failure: object.failure })
      if (entry.kind === 'produce') this.#credit.requestInstead(entry.group)
      return
    }
    call.entries.push(entry)
    call.objects.push(object)
  }

  #finish({ options, newest, entries, objects }: TakeCall): void {
    if (options.order === 'newest') {
      // What is older than the newest that can be read is discarded, as was asked for.
      for (const entry of newest.splice(0)) this.#settlement.acknowledge(entry)
      entries.reverse()
      objects.reverse()
    }
    if (options.acknowledges) for (const entry of entries) this.#settlement.acknowledge(entry)
    this.#settlement.flush()
  }

  #putBack({ options, newest, entries, checked }: TakeCall): void {
    const looked = checked === undefined ? entries : [...entries, checked.entry]
    // Of the newest, the last one is looked at first.
    const taken = options.order === 'newest' ? [...newest, ...looked.reverse()] : looked
    for (const entry of taken.reverse()) {
      this.#settlement.putBack(entry)
      this.#inbox.putBack(entry)
    }
    this.#settlement.flush()
  }
}

function needsTime(group: string): ObjectRelayError {
  return createError(
    'INVALID_ARGUMENT',
    `The schema of the group ${JSON.stringify(group)} checks asynchronously, and a ...Sync call cannot wait for it; use the call without Sync, or another schema.`,
    { details: { argument: 'schemas', group } },
  )
}
