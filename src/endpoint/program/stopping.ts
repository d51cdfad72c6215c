import { isGroupName } from '../../core/groupName.ts'
import { createError, type ObjectRelayError } from '../../errors.ts'
import { checkNames, durationOption } from '../../options.ts'
import { messageOf } from '../../thrown.ts'
import { encodeJson } from '../../wire/controlFrames.ts'
import { FrameType } from '../../wire/frameTypes.ts'
import { contentStart, OBJECT_HEAD_BYTES, type Route, readStreamBeginTail } from '../../wire/objectHeader.ts'
import { RouteCache } from '../../wire/routeCache.ts'
import type { EndpointStopResult } from '../jsonRecords.ts'
import { RecordType } from '../records.ts'
import type { Consumer } from './consumer.ts'
import type { DeliveryDecoder } from './deliveryDecoder.ts'
import type { StopResult, UndeliveredObject } from './endpointTypes.ts'
import { type EncodedObject, encodedParts } from './inboxRun.ts'
import type { IoChannel } from './ioChannel.ts'
import type { Receiver } from './receiver.ts'
import type { Sender } from './sender.ts'
import type { Settlement } from './settlement.ts'
import type { EndpointStatus } from './status.ts'
import type { WorkerPool } from './workerPool.ts'

const DEADLINE_DEFAULT_MS = 10_000
/** How long the I/O may take to answer beyond the deadline that it was given. */
const ANSWER_MS = 5_000

/** Checks the options of `stop`. Throws `INVALID_ARGUMENT`. */
export function checkStopOptions(options: unknown): number {
  const given = checkNames(options, ['deadlineMs'], { where: 'stop()', code: 'INVALID_ARGUMENT' })
  try {
    return durationOption('deadlineMs', given.deadlineMs ?? DEADLINE_DEFAULT_MS, 0)
  } catch (cause) {
    const message = messageOf(cause).replace('The option', 'The argument')
    throw createError('INVALID_ARGUMENT', message, { details: { argument: 'deadlineMs' } })
  }
}

/** What was sent and not accepted, as it was encoded. */
interface Undelivered {
  readonly kind: Route['kind']
  readonly groups: readonly string[]
  readonly encoded: EncodedObject
}

/** The end of an endpoint: finishes the work that runs, gives back what was not taken, sends what was to be sent. */
export class Stopping {
  readonly #channel: IoChannel
  readonly #status: EndpointStatus
  readonly #sender: Sender
  readonly #receiver: Receiver
  readonly #consumer: Consumer
  readonly #settlement: Settlement
  readonly #workers: WorkerPool
  readonly #decoder: DeliveryDecoder
  readonly #routes = new RouteCache(isGroupName)
  /** What is given back to the program, as it was encoded: to decode it runs code of the program, which is for the end. */
  readonly #undelivered: Undelivered[] = []
  #returnedFollows = false
  #result: EndpointStopResult | undefined
  #answered: () => void = () => undefined

  constructor(options: {
    channel: IoChannel
    status: EndpointStatus
    sender: Sender
    receiver: Receiver
    consumer: Consumer
    settlement: Settlement
    workers: WorkerPool
    decoder: DeliveryDecoder
  }) {
    this.#channel = options.channel
    this.#status = options.status
    this.#sender = options.sender
    this.#receiver = options.receiver
    this.#consumer = options.consumer
    this.#settlement = options.settlement
    this.#workers = options.workers
    this.#decoder = options.decoder
  }

  /** Whether the object that came is one of ours on its way back; it is kept then. */
  takesReturned(buffer: Buffer, start: number, end: number): boolean {
    if (!this.#returnedFollows) return false
    this.#returnedFollows = false
    const route = this.#routes.read(buffer, start, end)
    const bodyAt = contentStart(buffer, start, route)
    if (buffer[start + 4] !== FrameType.STREAM_BEGIN) {
      const body = Buffer.from(buffer.subarray(bodyAt, end))
      this.#keep(route, { buffer: body, start: 0, end: body.length, segments: undefined })
    } else {
      const { stream } = readStreamBeginTail(buffer, bodyAt, end)
      this.#keep(route, encodedParts(this.#channel.port.waker.takeAttachment(stream)))
    }
    return true
  }

  returnedFollows(): void {
    this.#returnedFollows = true
  }

  /** STOPPED: the last word of the I/O. */
  stopped(result: EndpointStopResult): void {
    this.#result = result
    this.#answered()
  }

  /** The endpoint was refused, or its I/O ended: nothing more will come, and the program is not kept alive for it. */
  failed(): void {
    this.#channel.close()
    this.#answered()
  }

  async run(deadlineMs: number): Promise<StopResult> {
    const deadline = performance.now() + deadlineMs
    let late = false
    // A timer may fire a little before its time: what ran out is not asked of the clock again.
    const leftMs = () => (late ? 0 : Math.max(0, Math.ceil(deadline - performance.now())))
    const status = this.#status
    status.receivingClosed = true
    status.condition = 'stopping'
    // Whoever stops an endpoint waits for it.
    this.#channel.keepAlive(true)
    this.#consumer.end()
    const finishing = this.#finishWork(leftMs())
    if (finishing !== undefined) late = !(await finishing)
    // From here to the flush nothing is waited for, so that a call after a stop without work fails at once.
    status.sendingClosed = true
    this.#receiver.releaseAll()
    if (status.failure === undefined) late = !(await within(leftMs(), this.#whenQueueEmptyOrOver())) || late
    if (status.failure === undefined) await this.#askIo(leftMs())
    return this.#end(late)
  }

  /** Waits for what the program works on, if anything: in handlers, in loops, in schemas. Gives whether all of it was finished in time. */
  #finishWork(timeoutMs: number): Promise<boolean> | undefined {
    const { inHand } = this.#settlement
    this.#settlement.acknowledgeLeft()
    const working = this.#workers.stopAll()
    inHand.abortAll(createError('STOPPED', 'The endpoint is being stopped.'))
    if (this.#workers.running === 0 && inHand.size === 0) return undefined
    return this.#takeAwayAfter(timeoutMs, Promise.all([working, inHand.whenEmpty()]))
  }

  async #takeAwayAfter(timeoutMs: number, finished: Promise<unknown>): Promise<boolean> {
    const isFinished = await within(timeoutMs, finished)
    this.#settlement.takeAway(
      createError('LEASE_LOST', 'The endpoint was stopped, and gave the object back at the deadline.'),
    )
    return isFinished
  }

  #whenQueueEmptyOrOver(): Promise<void> {
    return Promise.race([this.#sender.whenQueueEmpty(), this.#whenAnswered()])
  }

  #whenAnswered(): Promise<void> {
    return new Promise((resolve) => {
      this.#answered = resolve
    })
  }

  async #askIo(deadlineMs: number): Promise<void> {
    const answered = this.#whenAnswered()
    this.#channel.writeLast(encodeJson(RecordType.STOP, { deadlineMs }))
    await within(deadlineMs + ANSWER_MS, answered)
  }

  #end(isLate: boolean): StopResult {
    for (const { route, buffer, start, end, large } of this.#sender.takeWaiting()) {
      const bodyAt = start + OBJECT_HEAD_BYTES + route.encoded.destinations.length
      const { kind, groups } = route
      if (large === undefined) this.#keep({ kind, groups }, { buffer, start: bodyAt, end, segments: undefined })
      else this.#keep({ kind, groups }, encodedParts(large.buffers))
    }
    const deadlineReached = isLate || (this.#result?.deadlineReached ?? this.#status.failure === undefined)
    this.#sender.rejectAll(this.#status.failure ?? undeliveredError(deadlineReached))
    this.#channel.close()
    this.#status.condition = 'stopped'
    const undelivered = this.#undelivered.map((one) => this.#giveBack(one))
    return { undelivered, deadlineReached }
  }

  #keep({ kind, groups }: Pick<Route, 'kind' | 'groups'>, encoded: EncodedObject): void {
    this.#undelivered.push({ kind, groups, encoded })
  }

  #giveBack({ kind, groups, encoded }: Undelivered): UndeliveredObject {
    if (kind === 'clear') return { object: undefined, groups, kind: 'clearRetained' }
    const object = this.#decoder.decodeReturned(encoded, groups[0] ?? '')
    return kind === 'unretained' ? { object, groups, kind: 'broadcast', retain: false } : { object, groups, kind }
  }
}

function undeliveredError(deadlineReached: boolean): ObjectRelayError {
  return deadlineReached
    ? createError('DEADLINE', 'The endpoint was stopped, and the relay had not accepted the object at the deadline.')
    : createError('LINK_LOST', 'The endpoint was stopped before the relay accepted the object.')
}

/** Waits for something, at most so long; returns whether it came. */
async function within(timeoutMs: number, awaited: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs)
  })
  const came = await Promise.race([awaited.then(() => true), late])
  clearTimeout(timer)
  return came
}
