import { createError, fromPlainError, type ObjectRelayError, toObjectRelayError } from '../../errors.ts'
import { TypedEvents } from '../../events.ts'
import { hostAndPort } from '../../hostAndPort.ts'
import { endpointIdOf } from '../../security/endpointId.ts'
import { encodeJson, readAccepted, readJson, readRejected, readText } from '../../wire/controlFrames.ts'
import { FrameType } from '../../wire/frameTypes.ts'
import type { EndpointState, EndpointStopResult } from '../jsonRecords.ts'
import { encodeClaim, RecordType, readNumber, readSequenceOf, readTransfer, type Transfer } from '../records.ts'
import { reportedError } from '../reportedError.ts'
import type { RecordPort } from '../threads/recordPort.ts'
import { Consumer } from './consumer.ts'
import { CreditRequester } from './creditRequester.ts'
import { DeliveryDecoder } from './deliveryDecoder.ts'
import type { CheckedEndpointOptions } from './endpointOptions.ts'
import { type EndpointEvents, type EndpointStats, endpointEventNames } from './endpointTypes.ts'
import { EventQueue } from './eventQueue.ts'
import { Inbox } from './inbox.ts'
import type { EndpointRecords, Io } from './io.ts'
import { IoChannel } from './ioChannel.ts'
import { Receiver } from './receiver.ts'
import { Sender } from './sender.ts'
import { Settlement } from './settlement.ts'
import { EndpointStatus } from './status.ts'
import { Stopping } from './stopping.ts'
import { WorkerPool } from './workerPool.ts'

/** The program's side of one endpoint: its parts, and the records from the I/O, each given to the part it is for. */
export class EndpointProgram implements EndpointRecords {
  readonly events: TypedEvents<EndpointEvents>
  readonly status: EndpointStatus = new EndpointStatus()
  readonly sender: Sender
  readonly credit: CreditRequester
  readonly consumer: Consumer
  readonly workers: WorkerPool
  readonly settlement: Settlement
  readonly stopping: Stopping
  /** Its public id at the relay. */
  readonly id: string
  /** What people call it. */
  readonly name: string
  readonly #inbox: Inbox
  #underWay: Transfer = { sentBytes: 0, arrivedBytes: 0, arrivingBytes: 0 }
  readonly #decoder: DeliveryDecoder
  readonly #receiver: Receiver
  readonly #channel: IoChannel
  readonly #queue: EventQueue
  readonly #address: string
  readonly #port: RecordPort
  #connectionWaiters: { resolve: () => void; reject: (error: ObjectRelayError) => void }[] = []

  constructor({ configuration, serializer, schemas, listeners }: CheckedEndpointOptions, io: Io) {
    const { status } = this
    const { groups, limits, broadcasts, host, port } = configuration
    this.#address = hostAndPort(host, port)
    this.id = endpointIdOf(configuration.session)
    this.name = configuration.name
    this.events = new TypedEvents(endpointEventNames, listeners)
    this.#queue = new EventQueue(this.events, () => `${JSON.stringify(this.name)}, of the relay at ${this.#address}`)
    this.#port = io.port
    const channel = new IoChannel(io, this)
    channel.write(encodeJson(RecordType.OPEN, configuration))
    const report = (error: ObjectRelayError) => this.report(error)
    const settlement = new Settlement(channel, report)
    const inbox = new Inbox(broadcasts === 'latest')
    const decoder = new DeliveryDecoder({ objectBytesMax: limits.objectBytesMax, serializer, schemas, status, report })
    const credit = new CreditRequester(channel, status, groups)
    const { inboxBytesMax } = limits
    const consumer = new Consumer({ inbox, decoder, settlement, credit, channel, status, inboxBytesMax })
    const sender = new Sender({ channel, status, limits, serializer })
    const workers = new WorkerPool({ credit, decoder, settlement, status, report })
    // Who wants the latest only has asked for it; `skipped` says how many there were.
    const missed = (group: string, count: number) => void (broadcasts === 'every' && this.#missed(group, count))
    const receiver = new Receiver({ channel, status, inbox, settlement, consumer, workers, missed })
    this.sender = sender
    this.credit = credit
    this.consumer = consumer
    this.workers = workers
    this.settlement = settlement
    this.stopping = new Stopping({ channel, status, sender, receiver, consumer, settlement, workers, decoder })
    this.#channel = channel
    this.#inbox = inbox
    this.#decoder = decoder
    this.#receiver = receiver
  }

  /** Whether the program is kept alive for this endpoint. */
  keepAlive(isKept: boolean): void {
    this.#channel.keepAlive(isKept)
  }

  /** Tells the program of a failure that no call of it is waiting for. */
  report(error: ObjectRelayError): void {
    this.#queue.report(error)
  }

  record(buffer: Buffer, start: number, end: number): void {
    try {
      this.#read(buffer, start, end)
    } catch (thrown) {
      // The records behind it, those of other endpoints too, must still be read.
      this.report(toObjectRelayError(thrown, 'PROTOCOL_VIOLATION'))
    }
  }

  #read(buffer: Buffer, start: number, end: number): void {
    switch (buffer[start + 4]) {
      case FrameType.OBJECT:
      case FrameType.STREAM_BEGIN:
        if (!this.stopping.takesReturned(buffer, start, end)) this.#receiver.receive(buffer, start, end)
        return
      case FrameType.ACCEPTED: {
        const { from, to, memberCounts } = readAccepted(buffer, start, end)
        this.sender.acceptedRun(from, to, memberCounts)
        return
      }
      case FrameType.CONTEXT:
        this.#receiver.context(buffer, start, end)
        return
      case RecordType.LEASE_NUMBER:
        this.#receiver.leaseNumber(buffer, start)
        return
      case FrameType.REJECTED: {
        const { sequence, error: json } = readRejected(buffer, start, end)
        const error = reportedError(json)
        if (this.sender.rejectedOne(sequence, error)) this.report(error)
        return
      }
      case FrameType.BLOCKED:
        this.#queue.tell('blocked', { group: readText(buffer, start, end) })
        return
      case FrameType.UNBLOCKED:
        this.#queue.tell('unblocked', { group: readText(buffer, start, end) })
        return
      case RecordType.NOTICE:
        this.#noticed(reportedError(readJson(buffer, start, end)))
        return
      case RecordType.STATE:
        // It was written by the I/O, which is of the same version of this library.
        this.#stateChanged(readJson(buffer, start, end) as unknown as EndpointState)
        return
      case RecordType.TRANSFER:
        this.#underWay = readTransfer(buffer, start)
        return
      case RecordType.SPARE_MEMORY:
        this.sender.spareMemory.give(this.#port.waker.takeAttachment(readNumber(buffer, start)))
        return
      case RecordType.SUPERSEDED:
        this.sender.supersededOne(readSequenceOf(buffer, start))
        return
      case RecordType.RETURNED:
        this.stopping.returnedFollows()
        return
      case RecordType.STOPPED:
        // As above.
        this.stopping.stopped(readJson(buffer, start, end) as unknown as EndpointStopResult)
        return
    }
  }

  #missed(group: string, count: number): void {
    const message = `The relay dropped ${count} broadcasts of the group "${group}", for which this endpoint had no room in time. Take objects faster, or raise limits.memberBacklogBytesMax of the relay.`
    const error = createError('OBJECTS_DROPPED', message, { details: { group, count } })
    this.#queue.tell('objectsDropped', { error, group, count })
  }

  #noticed(error: ObjectRelayError): void {
    if (error.code !== 'OBJECTS_DROPPED') {
      this.report(error)
      return
    }
    const { group, count } = error.details
    this.#queue.tell('objectsDropped', {
      error,
      group: typeof group === 'string' ? group : undefined,
      count: typeof count === 'number' ? count : 1,
    })
  }

  #stateChanged(state: EndpointState): void {
    const { status } = this
    const epochBefore = status.epoch
    const error = state.error === undefined ? undefined : fromPlainError(state.error)
    status.update(state, error)
    const { attempt, delayMs = 0 } = state
    switch (state.state) {
      case 'connecting':
        this.#queue.tell('connecting', { attempt, ...(error === undefined ? {} : { error, delayMs }) })
        return
      case 'reconnecting':
        this.#queue.tell('reconnecting', { error: error ?? linkLost(), attempt, delayMs })
        return
      case 'connected':
        if (status.epoch !== epochBefore) this.#epochBegan(epochBefore, state)
        for (const waiter of this.#takeConnectionWaiters()) waiter.resolve()
        this.#queue.tell('connected', { resumed: state.resumed, relayLimits: status.relayLimits })
        return
      case 'disconnected':
        this.#endWith(status.failure ?? linkLost())
    }
  }

  #epochBegan(epochBefore: number, { sameRelay = false, claims = false, returned = false }: EndpointState): void {
    if (epochBefore > 0 && !claims) this.#leasesLost(epochBefore, returned)
    // A relay that was restarted may have forgotten them; the same one lends them again, here or elsewhere.
    const dropped = sameRelay ? this.#receiver.dropLent(epochBefore, claims) : undefined
    if (claims) this.#channel.write(encodeClaim(epochBefore))
    // Behind the claim, so that they are asked for when they are back in their queues.
    if (dropped !== undefined) for (const [group, count] of dropped) this.credit.request(group, count)
    const unacknowledged = this.#receiver.countUnacknowledged()
    this.#receiver.beginEpoch()
    if (epochBefore === 0) return
    const lent = claims
      ? 'What it had lent stays with whoever took it.'
      : `The ${unacknowledged} produced objects in the inbox may be delivered to others as well.`
    const consequence = `${claims || unacknowledged > 0 ? `${lent} ` : ''}Broadcasts of the meantime may be missing.`
    const error = createError(
      'SESSION_LOST',
      `The relay at ${this.#address} did not know this endpoint any more: it was restarted, or the endpoint was away for longer than sessionGraceMs. What it had not accepted is sent again. ${consequence}`,
      { details: { unacknowledged } },
    )
    this.#queue.tell('sessionLost', { error, unacknowledged })
  }

  /** What the program has in hand is not its own any more: the relay gave it to others, or has forgotten it. */
  #leasesLost(epoch: number, returned: boolean): void {
    const why = returned
      ? 'The relay did not know this endpoint any more, and has given what it had lent to others.'
      : 'The relay was restarted, and has forgotten what it had lent.'
    this.settlement.lost(epoch, { error: createError('LEASE_LOST', why), isForgotten: !returned })
  }

  /** The I/O ended without being asked to. */
  failed(error: ObjectRelayError): void {
    this.status.failure ??= error
    if (this.status.condition !== 'stopping') this.status.condition = 'disconnected'
    this.#endWith(this.status.failure)
  }

  #endWith(error: ObjectRelayError): void {
    this.status.failure = error
    const why = `The endpoint is no member any more, so that the relay gives what it had lent to others. ${error.message}`
    const lost = { error: createError('LEASE_LOST', why, { cause: error }), isForgotten: false }
    this.settlement.lost(this.status.epoch, lost)
    this.sender.rejectAll(error)
    const waitersForObjects = this.consumer.end(error)
    this.stopping.failed()
    const waitersForConnection = this.#takeConnectionWaiters()
    for (const waiter of waitersForConnection) waiter.reject(error)
    const wasTold = waitersForObjects > 0 || waitersForConnection.length > 0
    this.#queue.end(error, wasTold)
  }

  #takeConnectionWaiters(): { resolve: () => void; reject: (error: ObjectRelayError) => void }[] {
    const waiters = this.#connectionWaiters
    this.#connectionWaiters = []
    return waiters
  }

  /** Resolves when the relay has accepted the endpoint; rejects when it refuses it, or with `CONNECT_TIMEOUT`. */
  connected(timeoutMs: number): Promise<void> {
    if (this.status.failure !== undefined) return Promise.reject(this.status.failure)
    if (this.status.condition === 'connected') return Promise.resolve()
    return new Promise((resolve, reject) => {
      const timer =
        timeoutMs === Number.POSITIVE_INFINITY
          ? undefined
          : setTimeout(() => reject(this.#connectTimeout(timeoutMs)), timeoutMs)
      this.#connectionWaiters.push({
        resolve() {
          clearTimeout(timer)
          resolve()
        },
        reject(error) {
          clearTimeout(timer)
          reject(error)
        },
      })
    })
  }

  #connectTimeout(timeoutMs: number): ObjectRelayError {
    const { lastError } = this.status
    const reason =
      lastError === undefined
        ? 'No attempt came to an end.'
        : `The last attempt failed: ${lastError.message} Raise connectTimeoutMs to wait longer.`
    return createError(
      'CONNECT_TIMEOUT',
      `The relay at ${this.#address} did not accept the endpoint within ${timeoutMs} ms. ${reason}`,
      { details: { timeoutMs }, ...(lastError === undefined ? {} : { cause: lastError }) },
    )
  }

  stats(): EndpointStats {
    const { sender, status } = this
    const { objects, bytes } = sender.waiting
    return {
      state: status.condition,
      inbox: { objects: this.#inbox.objects, bytes: this.#inbox.bytes },
      sending: {
        objects: sender.pendingObjects,
        bytes: sender.pendingBytes,
        waitingObjects: objects,
        waitingBytes: bytes,
      },
      sent: {
        objects: sender.sequence,
        accepted: sender.accepted,
        rejected: sender.rejected,
        superseded: sender.superseded,
      },
      received: {
        objects: this.#receiver.objects,
        bytes: this.#receiver.bytes,
        skipped: this.#receiver.skipped,
        unreadable: this.#decoder.unreadableObjects,
      },
      underWay: { ...this.#underWay },
      linksLost: status.linksLost,
      ring: { waitingBytes: this.#port.waitingBytes },
    }
  }
}

function linkLost(): ObjectRelayError {
  return createError('LINK_LOST', 'The connection to the relay is lost.')
}
