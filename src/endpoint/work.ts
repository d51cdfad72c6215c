import { createError, type ObjectRelayError } from '../errors.ts'
import { checkNames, describeValue } from '../options.ts'
import type { Asking } from './asking.ts'
import { deliveryOf } from './deliveries.ts'
import { checkGroups } from './destinations.ts'
import type { Delivery, Work } from './endpointTypes.ts'
import type { InboxEntry } from './inboxRun.ts'
import { aboutEntry, CheckedLater, type ObjectOpener, unreadable } from './objectOpener.ts'
import type { Settlement } from './settlement.ts'

const CONCURRENCY_MAX = 10_000

/** What a program gives to `work`. */
export type WorkHandler = (object: unknown, delivery: Delivery) => unknown

/** One call of `work`. */
interface Worker {
  readonly handler: WorkHandler
  readonly concurrency: number
  running: number
  stopping: boolean
  /** Called when the last handler is done. */
  idle: () => void
}

/** All calls of `work` for one group. */
interface Workplace {
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
export class Works {
  readonly #workplaces = new Map<string, Workplace>()
  /** What handlers work on. */
  readonly #underWork = new Set<InboxEntry>()
  readonly #asking: Asking
  readonly #opener: ObjectOpener
  readonly #settlement: Settlement
  readonly #report: (error: ObjectRelayError) => void

  constructor(options: {
    asking: Asking
    opener: ObjectOpener
    settlement: Settlement
    report: (error: ObjectRelayError) => void
  }) {
    this.#asking = options.asking
    this.#opener = options.opener
    this.#settlement = options.settlement
    this.#report = options.report
  }

  /** How many handlers run. */
  get running(): number {
    let running = 0
    for (const { workers } of this.#workplaces.values()) for (const worker of workers) running += worker.running
    return running
  }

  /** A call of `work`. Throws `INVALID_ARGUMENT` and `NOT_A_MEMBER`. */
  start(groupName: unknown, handler: unknown, options: unknown): Work {
    const [group = ''] = checkGroups([groupName], 'group')
    this.#asking.checkMember(group)
    if (!isHandler(handler)) {
      throw createError(
        'INVALID_ARGUMENT',
        `The handler of work() is ${describeValue(handler)}; it must be a function.`,
        {
          details: { argument: 'handler' },
        },
      )
    }
    const concurrency = checkConcurrency(options)
    const workplace = this.#workplaceOf(group)
    const worker: Worker = { handler, concurrency, running: 0, stopping: false, idle: () => undefined }
    workplace.workers.push(worker)
    const onTheirWay = Math.min(workplace.unwanted, concurrency)
    workplace.unwanted -= onTheirWay
    if (concurrency > onTheirWay) this.#asking.ask(group, concurrency - onTheirWay)
    const stop = () => this.#stop(workplace, worker)
    return { stop, [Symbol.asyncDispose]: stop }
  }

  /** Whether there are, or were, workers for the produced objects of a group. */
  concerns(group: string): boolean {
    return this.#workplaces.has(group)
  }

  /** Takes an object that arrived, unless no worker is concerned. */
  offer(entry: InboxEntry): boolean {
    if (entry.kind !== 'produce') return false
    const workplace = this.#workplaces.get(entry.group)
    if (workplace === undefined) return false
    const free = workplace.workers.find((worker) => !worker.stopping && worker.running < worker.concurrency)
    if (free !== undefined) this.#begin(workplace, free, entry)
    else if (workplace.unwanted > 0) {
      workplace.unwanted--
      this.#giveBack(entry)
    } else if (isActive(workplace)) workplace.queue.push(entry)
    else return false
    return true
  }

  /** Stops all; resolves when no handler runs any more. */
  async stopAll(): Promise<void> {
    const stops: Promise<void>[] = []
    for (const workplace of this.#workplaces.values()) {
      for (const worker of [...workplace.workers]) stops.push(this.#stop(workplace, worker))
    }
    await Promise.all(stops)
  }

  /** Gives back what handlers work on that nobody waits for any longer: whoever gets it next must know that it was tried. */
  abandon(): void {
    for (const entry of this.#underWork) this.#settlement.release(entry, true)
    this.#settlement.flush()
  }

  #workplaceOf(group: string): Workplace {
    let workplace = this.#workplaces.get(group)
    if (workplace === undefined) {
      workplace = { group, workers: [], queue: [], unwanted: 0 }
      this.#workplaces.set(group, workplace)
    }
    return workplace
  }

  #begin(workplace: Workplace, worker: Worker, entry: InboxEntry): void {
    worker.running++
    this.#settlement.taken(entry)
    // Not from within the reading of records: a handler may compute for minutes.
    queueMicrotask(() => {
      this.#settlement.flush()
      this.#underWork.add(entry)
      void this.#run(worker, entry).then(() => {
        this.#underWork.delete(entry)
        this.#done(workplace, worker)
      })
    })
  }

  async #run({ handler }: Worker, entry: InboxEntry): Promise<void> {
    const opened = this.#opener.open(entry)
    const object = opened instanceof CheckedLater ? await opened.object : opened
    if (object === unreadable) {
      this.#settlement.acknowledge(entry)
      return
    }
    try {
      await handler(object, deliveryOf(entry, object, this.#settlement))
      this.#settlement.acknowledge(entry)
    } catch (thrown) {
      const already = entry.settled
      this.#settlement.release(entry, true)
      const what = thrown instanceof Error ? thrown.message : String(thrown)
      const consequence = already ? 'The object was settled before' : 'The object goes back to its queue'
      this.#report(
        aboutEntry(entry, 'HANDLER_FAILED', `the handler of work() failed: ${what}. ${consequence}.`, thrown),
      )
    }
  }

  #done(workplace: Workplace, worker: Worker): void {
    worker.running--
    // First, so that an object that goes back is in its queue again when the next one is asked for.
    this.#settlement.flush()
    if (worker.stopping) {
      if (worker.running === 0) this.#leave(workplace, worker)
      return
    }
    const next = workplace.queue.shift()
    if (next === undefined) this.#asking.ask(workplace.group, 1)
    else this.#begin(workplace, worker, next)
  }

  #stop(workplace: Workplace, worker: Worker): Promise<void> {
    if (!worker.stopping) {
      worker.stopping = true
      workplace.unwanted += worker.concurrency - worker.running
      if (!isActive(workplace)) for (const entry of workplace.queue.splice(0)) this.#giveBack(entry)
      if (worker.running === 0) this.#leave(workplace, worker)
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

  #leave({ workers }: Workplace, worker: Worker): void {
    workers.splice(workers.indexOf(worker), 1)
    worker.idle()
  }

  #giveBack(entry: InboxEntry): void {
    this.#settlement.taken(entry)
    this.#settlement.release(entry, false)
    this.#settlement.flush()
  }
}

function isActive({ workers }: Workplace): boolean {
  return workers.some((worker) => !worker.stopping)
}

function isHandler(handler: unknown): handler is WorkHandler {
  return typeof handler === 'function'
}

function checkConcurrency(options: unknown): number {
  const { concurrency = 1 } = checkNames(options, ['concurrency'], { where: 'work()', code: 'INVALID_ARGUMENT' })
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
