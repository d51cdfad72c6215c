import { createError, type ObjectRelayError, toObjectRelayError, UnrecoverableError } from '../../errors.ts'
import { checkNames, describeValue } from '../../options.ts'
import { isInstance, messageOf } from '../../thrown.ts'
import type { CreditRequester } from './creditRequester.ts'
import { checkRetryDelay, deliveryOf } from './deliveries.ts'
import { aboutEntry, CheckedLater, type DeliveryDecoder, Unreadable } from './deliveryDecoder.ts'
import { checkGroups } from './destinations.ts'
import type { Delivery, Work } from './endpointTypes.ts'
import { failureErrorOf } from './failureError.ts'
import { type InboxEntry, takenAway } from './inboxRun.ts'
import { nextAttempt } from './nextAttempt.ts'
import type { Settlement } from './settlement.ts'
import type { EndpointStatus } from './status.ts'

const CONCURRENCY_MAX = 10_000

/** What a program gives to `work`. */
export type WorkHandler = (object: unknown, delivery: Delivery) => unknown

/** One call of `work`. */
interface Worker {
  readonly handler: WorkHandler
  readonly concurrency: number
  /** `undefined`: as the group is configured. */
  readonly retryDelayMs: number | undefined
  running: number
  stopping: boolean
  /** Called when the last handler is done. */
  idle: () => void
}

/** All calls of `work` for one group. */
interface GroupPool {
  readonly group: string
  readonly workers: Worker[]
  /** What came beyond what the workers asked for, because the program asked as well. */
  readonly queue: InboxEntry[]
  /** Objects that workers asked for which were stopped before they came. */
  unwanted: number
}

/**
 * Runs handlers on produced objects. For each handler that could run one object is asked for, so that the relay knows how
 * much this endpoint can do; what is asked cannot be taken back, so that what comes after a stop goes back uncounted.
 */
export class WorkerPool {
  readonly #pools = new Map<string, GroupPool>()
  readonly #credit: CreditRequester
  readonly #decoder: DeliveryDecoder
  readonly #settlement: Settlement
  readonly #status: EndpointStatus
  readonly #report: (error: ObjectRelayError) => void

  constructor(options: {
    credit: CreditRequester
    decoder: DeliveryDecoder
    settlement: Settlement
    status: EndpointStatus
    report: (error: ObjectRelayError) => void
  }) {
    this.#credit = options.credit
    this.#decoder = options.decoder
    this.#settlement = options.settlement
    this.#status = options.status
    this.#report = options.report
  }

  /** How many handlers run. */
  get running(): number {
    let running = 0
    for (const { workers } of this.#pools.values()) for (const worker of workers) running += worker.running
    return running
  }

  /** A call of `work`. Throws `INVALID_ARGUMENT` and `NOT_A_MEMBER`. */
  start(groupName: unknown, handler: unknown, options: unknown): Work {
    const [group = ''] = checkGroups([groupName], 'group')
    this.#credit.checkMember(group)
    if (!isHandler(handler)) {
      throw createError(
        'INVALID_ARGUMENT',
        `The handler of work() is ${describeValue(handler)}; it must be a function.`,
        {
          details: { argument: 'handler' },
        },
      )
    }
    const { concurrency, retryDelayMs } = checkWorkOptions(options)
    const pool = this.#poolOf(group)
    const worker: Worker = { handler, concurrency, retryDelayMs, running: 0, stopping: false, idle: () => undefined }
    pool.workers.push(worker)
    const onTheirWay = Math.min(pool.unwanted, concurrency)
    pool.unwanted -= onTheirWay
    if (concurrency > onTheirWay) this.#credit.request(group, concurrency - onTheirWay)
    const stop = () => this.#stop(pool, worker)
    return { stop, [Symbol.asyncDispose]: stop }
  }

  /** Whether there are, or were, workers for the produced objects of a group. */
  concerns(group: string): boolean {
    return this.#pools.has(group)
  }

  /** Takes an object that arrived, unless no worker is concerned. */
  offer(entry: InboxEntry): boolean {
    if (entry.kind !== 'produce') return false
    const pool = this.#pools.get(entry.group)
    if (pool === undefined) return false
    const free = pool.workers.find((worker) => !worker.stopping && worker.running < worker.concurrency)
    if (free !== undefined) this.#begin(pool, free, entry)
    else if (pool.unwanted > 0) {
      pool.unwanted--
      this.#giveBack(entry)
    } else if (isActive(pool)) pool.queue.push(entry)
    else return false
    return true
  }

  /** Stops all; resolves when no handler runs any more. */
  async stopAll(): Promise<void> {
    const stops: Promise<void>[] = []
    for (const pool of this.#pools.values()) {
      for (const worker of [...pool.workers]) stops.push(this.#stop(pool, worker))
    }
    await Promise.all(stops)
  }

  /** Drops what waits for a handler, of a session that is lost, since the relay lends it again; as the inbox does. Returns it. */
  dropLent(epoch: number, tells: boolean): readonly InboxEntry[] {
    const dropped: InboxEntry[] = []
    for (const { queue } of this.#pools.values()) {
      const kept = queue.filter((entry) => entry.epoch !== epoch)
      for (const entry of queue.splice(0, queue.length, ...kept)) if (entry.epoch === epoch) dropped.push(entry)
    }
    for (const entry of dropped) {
      this.#settlement.taken(entry)
      if (tells) this.#settlement.drop(entry)
    }
    return dropped
  }

  #poolOf(group: string): GroupPool {
    let pool = this.#pools.get(group)
    if (pool === undefined) {
      pool = { group, workers: [], queue: [], unwanted: 0 }
      this.#pools.set(group, pool)
    }
    return pool
  }

  #begin(pool: GroupPool, worker: Worker, entry: InboxEntry): void {
    worker.running++
    this.#settlement.taken(entry)
    // Not from within the reading of records: a handler may compute for minutes.
    queueMicrotask(() => {
      this.#run(pool, worker, entry).catch((thrown: unknown) => {
        this.#report(toObjectRelayError(thrown, 'HANDLER_FAILED'))
      })
    })
  }

  /** Whatever happens to one object, the place of its handler is free again. */
  async #run(pool: GroupPool, worker: Worker, entry: InboxEntry): Promise<void> {
    const settlement = this.#settlement
    try {
      if (!settlement.hand(entry)) return
      const sending = settlement.whenSent()
      if (sending !== undefined) await sending
      const decoded = this.#decoder.decode(entry)
      const object = decoded instanceof CheckedLater ? await decoded.object : decoded
      if (takenAway(entry) !== undefined) return
      if (object instanceof Unreadable) {
        const { failure } = object
        settlement.release(entry, { attemptCounted: true, failure, retryDelayMs: worker.retryDelayMs })
        return
      }
      await worker.handler(object, deliveryOf(entry, object, settlement))
      settlement.acknowledge(entry)
    } catch (thrown) {
      this.#failed(worker, entry, thrown)
    } finally {
      this.#done(pool, worker)
    }
  }

  #failed({ retryDelayMs }: Worker, entry: InboxEntry, thrown: unknown): void {
    const settlement = this.#settlement
    // It did what it was asked to: it ended early, and its object is worked on elsewhere.
    if (settlement.inHand.isAborted(entry)) {
      settlement.release(entry, { attemptCounted: false })
      return
    }
    const isFinal = isInstance(thrown, UnrecoverableError)
    const failure = { reason: 'failed', error: failureErrorOf(thrown) } as const
    const before = settlement.release(entry, { attemptCounted: true, isFinal, retryDelayMs, failure })
    const { group, attempt } = entry
    const { attemptsMax } = this.#status.relayLimits
    const consequence =
      before === 'settled'
        ? 'The object was settled before.'
        : typeof before === 'object'
          ? 'The object was not given back: its lease was lost before.'
          : nextAttempt({ group, attempt, attemptsMax, isFinal, retryDelayMs })
    const message = `the handler of work() failed: ${messageOf(thrown)}. ${consequence}`
    this.#report(aboutEntry(entry, 'HANDLER_FAILED', message, thrown))
  }

  #done(pool: GroupPool, worker: Worker): void {
    worker.running--
    // First, so that an object that goes back is in its queue again when the next one is asked for.
    this.#settlement.flush()
    if (worker.stopping) {
      if (worker.running === 0) this.#leave(pool, worker)
      return
    }
    const next = pool.queue.shift()
    if (next === undefined) this.#credit.request(pool.group, 1)
    else this.#begin(pool, worker, next)
  }

  #stop(pool: GroupPool, worker: Worker): Promise<void> {
    if (!worker.stopping) {
      worker.stopping = true
      pool.unwanted += worker.concurrency - worker.running
      if (!isActive(pool)) for (const entry of pool.queue.splice(0)) this.#giveBack(entry)
      if (worker.running === 0) this.#leave(pool, worker)
    }
    if (worker.running === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const { idle } = worker
      worker.idle = () => {
        idle()
        resolve()
      }
    })
  }

  #leave({ workers }: GroupPool, worker: Worker): void {
    workers.splice(workers.indexOf(worker), 1)
    worker.idle()
  }

  #giveBack(entry: InboxEntry): void {
    this.#settlement.taken(entry)
    this.#settlement.release(entry, { attemptCounted: false })
    this.#settlement.flush()
  }
}

function isActive({ workers }: GroupPool): boolean {
  return workers.some((worker) => !worker.stopping)
}

function isHandler(handler: unknown): handler is WorkHandler {
  return typeof handler === 'function'
}

function checkWorkOptions(options: unknown): { concurrency: number; retryDelayMs: number | undefined } {
  const given = checkNames(options, ['concurrency', 'retryDelayMs'], { where: 'work()', code: 'INVALID_ARGUMENT' })
  return {
    concurrency: checkConcurrency(given.concurrency ?? 1),
    retryDelayMs: checkRetryDelay(given.retryDelayMs, 'work()'),
  }
}

function checkConcurrency(concurrency: unknown): number {
  if (
    typeof concurrency === 'number' &&
    Number.isSafeInteger(concurrency) &&
    concurrency >= 1 &&
    concurrency <= CONCURRENCY_MAX
  ) {
    return concurrency
  }
  throw createError(
    'INVALID_ARGUMENT',
    `concurrency of work() is ${describeValue(concurrency)}; it must be a whole number from 1 to ${CONCURRENCY_MAX}.`,
    { details: { argument: 'concurrency' } },
  )
}
