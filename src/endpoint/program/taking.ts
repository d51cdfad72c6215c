import { createError, type ObjectRelayError } from '../../errors.ts'
import type { Batch, Collector } from './collector.ts'
import type { Inbox } from './inbox.ts'
import type { IoChannel } from './ioChannel.ts'
import type { EndpointStatus } from './status.ts'
import type { TakeRequest } from './takeRequest.ts'
import { Waiter } from './waiter.ts'

/** Ctrl-C and timers of a program that blocks get their turn between slices. */
const BLOCK_SLICE_MS = 100
/** How long to wait for the I/O to put more into the ring: it answers in less than one. */
const CATCH_UP_MS = 5
/** Each round brings about a ring full; so many are more than any inbox holds. */
const CATCH_UP_ROUNDS_MAX = 256

/** Takes objects out of the inbox for the calls of the program: at once, or when they come, first come first served. */
export class Taking {
  readonly #inbox: Inbox
  readonly #collector: Collector
  readonly #channel: IoChannel
  readonly #status: EndpointStatus
  readonly #inboxBytesMax: number
  #waiters: Waiter[] = []
  #serving = false

  constructor(options: {
    inbox: Inbox
    collector: Collector
    channel: IoChannel
    status: EndpointStatus
    inboxBytesMax: number
  }) {
    this.#inbox = options.inbox
    this.#collector = options.collector
    this.#channel = options.channel
    this.#status = options.status
    this.#inboxBytesMax = options.inboxBytesMax
  }

  /** Objects for one call; none if there are none, or at the timeout, or when the endpoint is stopped meanwhile. */
  async take(request: TakeRequest): Promise<Batch> {
    this.#checkPossible(request)
    this.#drain(request)
    if (this.#wantsMore(request) && this.#channel.port.peerSpills) await this.#catchUp(request)
    this.#throwFailure()
    if (request.blocking && this.#waiters.length > 0) return this.#wait(request)
    const collected = this.#collector.collect(request)
    const batch = collected instanceof Promise ? await collected : collected
    if (batch.objects.length > 0 || !request.blocking || this.#status.receivingClosed) return batch
    this.#throwFailure()
    return this.#wait(request)
  }

  /** The same for a program that blocks its thread. */
  takeSync(request: TakeRequest): Batch {
    this.#checkPossible(request)
    if (request.blocking && !this.#channel.canBlock) {
      throw createError(
        'INVALID_ARGUMENT',
        "With io: 'inline' the network runs on this very thread, so that a blocked thread would wait for ever; use io: 'thread', or the call without Sync.",
        { details: { argument: 'blocking' } },
      )
    }
    if (request.blocking && this.#channel.encoding) {
      throw createError(
        'INVALID_ARGUMENT',
        'A getter, serializer or encode() waits for objects while the object that it is of is being encoded, and nothing that was asked meanwhile has left; take objects before or after.',
        { details: { argument: 'blocking' } },
      )
    }
    const deadlineMs = performance.now() + request.timeoutMs
    for (;;) {
      this.#catchUpSync(request)
      this.#throwFailure()
      const batch = this.#collector.collectSync(request)
      if (batch.objects.length > 0 || !request.blocking) return batch
      const leftMs = deadlineMs - performance.now()
      if (leftMs <= 0) return batch
      this.#channel.port.blockAndDrain(Math.min(BLOCK_SLICE_MS, leftMs))
    }
  }

  /** Objects arrived: serves who waits, once all that came together is here. */
  arrived(): void {
    if (this.#serving || this.#waiters.length === 0) return
    this.#serving = true
    queueMicrotask(() => this.#serve())
  }

  /** Ends all waiting: with an error, or with nothing; returns how many calls waited. */
  end(error?: ObjectRelayError): number {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.end(error)
    return waiters.length
  }

  #checkPossible({ signal }: TakeRequest): void {
    const obstacle = this.#status.receivingObstacle
    if (obstacle !== undefined) throw obstacle
    signal?.throwIfAborted()
  }

  #throwFailure(): void {
    if (this.#status.failure !== undefined) throw this.#status.failure
  }

  /** Whether what the I/O still holds could change the result, and there is room for it here. */
  #wantsMore({ order, maxItems }: TakeRequest): boolean {
    if (order === 'oldest' && this.#inbox.objects >= maxItems) return false
    return this.#inbox.bytes < this.#inboxBytesMax
  }

  async #catchUp(request: TakeRequest): Promise<void> {
    const { port } = this.#channel
    for (let round = 0; round < CATCH_UP_ROUNDS_MAX && port.peerSpills && this.#wantsMore(request); round++) {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CATCH_UP_MS)
      })
      // Its last record may come before it says that it holds nothing back any more: then no further ring follows.
      const woken = port.nextWake()
      port.waker.wake()
      await Promise.race([woken, late])
      clearTimeout(timer)
      this.#drain(request)
    }
  }

  /** Reads what is in the ring, as far as it could change the result: one drain ends after some thousand records. */
  #drain(request: TakeRequest): void {
    let before: number
    do {
      before = this.#inbox.objects
      this.#channel.port.drain()
    } while (this.#inbox.objects > before && this.#wantsMore(request))
  }

  #catchUpSync(request: TakeRequest): void {
    const { port, canBlock } = this.#channel
    this.#drain(request)
    if (!canBlock) return
    for (let round = 0; round < CATCH_UP_ROUNDS_MAX && port.peerSpills && this.#wantsMore(request); round++) {
      port.waker.wake()
      port.blockAndDrain(CATCH_UP_MS)
      this.#drain(request)
    }
  }

  #wait(request: TakeRequest): Promise<Batch> {
    request.signal?.throwIfAborted()
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(request, resolve, reject)
      this.#waiters.push(waiter)
      waiter.watch((late) => this.#whenOver(late))
      if (this.#inbox.objects > 0) this.arrived()
    })
  }

  #whenOver(waiter: Waiter): void {
    const index = this.#waiters.indexOf(waiter)
    // Not in the list while a schema checks its object: then that decides.
    if (index === -1) return
    this.#waiters.splice(index, 1)
    waiter.end()
  }

  #serve(): void {
    this.#serving = false
    while (this.#inbox.objects > 0) {
      const waiter = this.#waiters.shift()
      if (waiter === undefined) return
      const batch = this.#collector.collect(waiter.request)
      if (batch instanceof Promise) void batch.then((checked) => this.#served(waiter, checked))
      else this.#served(waiter, batch)
    }
  }

  #served(waiter: Waiter, batch: Batch): void {
    const { failure, receivingClosed } = this.#status
    if (batch.objects.length > 0) waiter.resolve(batch)
    else if (waiter.over || failure !== undefined || receivingClosed) waiter.end(failure)
    else {
      this.#waiters.unshift(waiter)
      this.arrived()
    }
  }
}
