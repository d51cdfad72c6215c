import { deliveryOf, iterate } from '../../src/endpoint/program/deliveries.ts'
import { Destinations, type PreparedRoute } from '../../src/endpoint/program/destinations.ts'
import { checkEndpointOptions } from '../../src/endpoint/program/endpointOptions.ts'
import { EndpointProgram } from '../../src/endpoint/program/endpointProgram.ts'
import type {
  BroadcastOptions,
  Delivery,
  StopResult,
  UndeliveredObject,
  Work,
} from '../../src/endpoint/program/endpointTypes.ts'
import { checkTakeOptions, type TakeOrder } from '../../src/endpoint/program/takeOptions.ts'
import { ObjectRelayError } from '../../src/errors.ts'
import type { EndpointLimits } from '../../src/limits.ts'
import { EndpointWitness } from './endpointWitness.ts'
import type { SendingTime } from './globalTime.ts'
import type { Ledger, SentObject } from './ledger.ts'
import type { Machine } from './machine.ts'
import { isAsSent, makeObject, simulatedObjectOf } from './simulatedObject.ts'

/** What the endpoints of a simulation share. */
export interface Surroundings {
  readonly ledger: Ledger
  readonly sending: SendingTime
  note(what: string): void
  /** Calls it some time later, whatever happens to machines. */
  later(delayMs: number, run: () => void): void
  /** Whether the relay knows what it knew when it is started again. */
  readonly relayRemembers: boolean
}

/** What an endpoint is called, for the relay to tell which one it speaks of. */
function endpointName(serial: number): string {
  return `e${serial}`
}

/** The endpoint that is called so. */
export function serialOf(name: string): number {
  return Number(name.slice(1))
}

/** Until then the relay has read the goodbye of an endpoint that stopped, or will never do. */
const GOODBYE_MS = 8_000

export interface SimulatedEndpointOptions {
  readonly serial: number
  readonly machine: Machine
  readonly groups: readonly string[]
  readonly broadcasts: 'every' | 'latest'
  readonly limits: Partial<EndpointLimits>
}

/** A delivery that the program has not settled. */
interface HeldDelivery {
  readonly object: SentObject
  readonly delivery: Delivery
}

/** One endpoint as a program uses it, with the books kept of all that it does. */
export class SimulatedEndpoint {
  readonly serial: number
  readonly machine: Machine
  readonly groups: readonly string[]
  readonly limits: Partial<EndpointLimits>
  readonly witness: EndpointWitness
  readonly program: EndpointProgram
  /** Refused, stopped or dead: nothing more is to be expected. */
  state: 'running' | 'stopping' | 'stopped' | 'refused' = 'running'
  readonly #surroundings: Surroundings
  readonly #destinations = new Destinations()
  #iterator: AsyncGenerator<{ object: unknown; delivery: Delivery }, void, undefined> | undefined
  #iterating = false
  /** What the iterator gave last. */
  #held: HeldDelivery | undefined
  #works: Work[] = []
  /** How many handlers run. */
  #handlers = 0
  /** What it sent and, when it stopped, did not know to be accepted. */
  readonly #unknown: number[] = []

  constructor({ serial, machine, groups, broadcasts, limits }: SimulatedEndpointOptions, surroundings: Surroundings) {
    this.serial = serial
    this.machine = machine
    this.groups = groups
    this.limits = limits
    this.#surroundings = surroundings
    this.witness = new EndpointWitness(
      serial,
      groups,
      surroundings.ledger,
      surroundings.relayRemembers,
      surroundings.note,
    )
    surroundings.ledger.joins(serial, groups)
    machine.nextWitness = this.witness
    const options = {
      host: 'relay.test',
      port: 1,
      password: 'the password of a simulation',
      groups: [...groups],
      name: endpointName(serial),
      broadcasts,
      limits,
      io: 'inline',
      reconnect: { initialDelayMs: 50, maxDelayMs: 1_000 },
      on: {
        disconnected: ({ error }: { error: ObjectRelayError }) => this.#refused(error),
        sessionLost: () => this.#note('lost its session'),
        connected: ({ resumed }: { resumed: boolean }) => {
          this.#note(resumed ? 'is back' : 'is connected')
          if (!resumed) surroundings.ledger.inSession(serial)
        },
        reconnecting: ({ error, attempt }: { error: ObjectRelayError; attempt: number }) =>
          this.#note(`reconnects, attempt ${attempt}: ${error.code} ${error.message}`),
        error: (error: ObjectRelayError) => this.#error(error),
      },
    }
    this.program = new EndpointProgram(checkEndpointOptions(options), machine)
    machine.nextWitness = undefined
  }

  get alive(): boolean {
    return this.machine.program.alive && this.machine.io.alive
  }

  get running(): boolean {
    return this.alive && this.state === 'running'
  }

  /** Whether it tries again and again to join a group that has as many members as it may have. */
  get waitsForPlace(): boolean {
    const { condition, lastError } = this.program.status
    return this.running && condition !== 'connected' && lastError?.code === 'GROUP_FULL'
  }

  #note(what: string): void {
    this.#surroundings.note(`e${this.serial} ${what}`)
  }

  #refused(error: ObjectRelayError): void {
    this.#note(`is refused: ${error.code} ${error.message}`)
    if (this.state === 'running') this.state = 'refused'
    this.#surroundings.ledger.break(`e${this.serial} was refused: ${error.code} ${error.message}`)
  }

  #error(error: ObjectRelayError): void {
    this.#note(`has an error: ${error.code} ${error.message}`)
    // What a healthy relay and healthy endpoints never do to each other, whatever the network does.
    if (['PROTOCOL_VIOLATION', 'NOT_DESERIALIZABLE', 'BACKGROUND_FAILED'].includes(error.code))
      this.#surroundings.ledger.break(`e${this.serial} reports ${error.code}: ${error.message}`)
  }

  // ── sending ───────────────────────────────────────────────────────────────────────────────────

  /** Sends an object of about so many bytes to a destination, as `sendObject` does. */
  send(destination: Readonly<Record<string, number>>, bytes: number): void {
    for (const route of this.#destinations.destination(destination)) this.#sendRoute(route, bytes)
  }

  broadcast(groups: readonly string[], bytes: number, how: BroadcastOptions = {}): SentObject {
    const { replace = false, retain = true } = how
    return this.#sendRoute(this.#destinations.groups(retain ? 'broadcast' : 'unretained', groups), bytes, replace)
  }

  clearRetained(groups: readonly string[]): SentObject {
    return this.#sendRoute(this.#destinations.groups('clear', groups), 0)
  }

  #sendRoute(route: PreparedRoute, bytes: number, replace = false): SentObject {
    const { ledger, sending } = this.#surroundings
    const { kind, groups, copies } = route
    const sent = ledger.sending({ producer: this.serial, kind, groups, copies, bytes })
    const { id } = sent
    this.#note(
      `sends ${id}: ${kind} of ${bytes} to ${groups.map((group, index) => `${group} ${copies[index]}`).join(', ')}`,
    )
    sending.dateMs = id
    const sequenceBefore = this.program.sender.sequence
    try {
      // What can be sent is numbered before anything else happens to it.
      const { sender } = this.program
      const promise =
        kind === 'clear' ? sender.clear(route) : sender.send(makeObject(id, bytes), route, { transfer: false, replace })
      promise.then(
        ({ superseded }) => (superseded === true ? this.#superseded(sent, replace) : this.#answered(sent, undefined)),
        (error: unknown) => this.#answered(sent, error),
      )
    } catch (error) {
      if (!(error instanceof ObjectRelayError)) ledger.break(`e${this.serial} could not send ${id}: ${String(error)}`)
      this.#note(`cannot send ${id}: ${String(error)}`)
      if (this.program.sender.sequence !== sequenceBefore)
        ledger.break(`e${this.serial} could not send ${id}, but numbered it`)
      ledger.forget(sent)
      return sent
    }
    this.witness.sent(sent)
    return sent
  }

  #superseded(sent: SentObject, replace: boolean): void {
    const { ledger } = this.#surroundings
    this.#note(`knows ${sent.id} superseded`)
    if (!replace) ledger.break(`object ${sent.id} was superseded, which it was not to be`)
    if (sent.answer === 'accepted' || sent.answer === 'rejected')
      ledger.break(`object ${sent.id} was ${sent.answer}, and is said to be superseded`)
    sent.answer = 'superseded'
    sent.settled = true
  }

  #answered(sent: SentObject, error: unknown): void {
    const { ledger } = this.#surroundings
    if (sent.settled) ledger.break(`the promise of object ${sent.id} was settled twice`)
    sent.settled = true
    if (error !== undefined && sent.answer === 'none') this.#unknown.push(sent.kind === 'clear' ? -1 : sent.id)
    this.#note(error === undefined ? `knows ${sent.id} accepted` : `knows ${sent.id} not accepted: ${String(error)}`)
    if (error !== undefined && !(error instanceof ObjectRelayError)) {
      ledger.break(`object ${sent.id} was rejected with an error of no type: ${String(error)}`)
    }
    if (error === undefined && sent.answer !== 'accepted')
      ledger.break(`object ${sent.id} was not accepted, and resolved`)
    // At the deadline of a stop, the answer may be on its way between the threads.
    const late = error instanceof ObjectRelayError && error.code === 'DEADLINE'
    if (error !== undefined && sent.answer === 'accepted' && !late)
      ledger.break(`object ${sent.id} was accepted, and its promise rejected`)
  }

  // ── receiving ─────────────────────────────────────────────────────────────────────────────────

  notify(group: string, count: number): void {
    this.#note(`asks for ${count} of ${group}`)
    this.program.credit.notify({ [group]: count })
  }

  /** `pop`, `retrieveAll`; what is taken is acknowledged by that. */
  async take(order: TakeOrder, options: { maxItems?: number; blocking?: boolean; timeoutMs?: number }): Promise<void> {
    try {
      const { objects, entries } = await this.program.consumer.take(checkTakeOptions(order, options, false))
      for (const [index, object] of objects.entries()) {
        const entry = entries[index]
        if (entry === undefined) continue
        const sent = this.#took(object, entry)
        if (sent !== undefined && entry.kind === 'produce') this.#surroundings.ledger.acknowledged(sent, entry.group)
      }
    } catch (error) {
      if (!this.#mayFail(error)) this.#surroundings.ledger.break(`e${this.serial} could not take: ${String(error)}`)
    }
  }

  /** Whether it is only because the endpoint is over. */
  #mayFail(error: unknown): boolean {
    return error instanceof ObjectRelayError && (error.code === 'STOPPED' || this.state !== 'running')
  }

  #took(
    value: unknown,
    {
      group,
      kind,
      attempt,
      sentAt,
    }: { group: string; kind: string; attempt: number; sentAt?: Date; sentAtMs?: number },
  ): SentObject | undefined {
    const { ledger } = this.#surroundings
    const object = simulatedObjectOf(value)
    const sent = object === undefined ? undefined : ledger.find(object.id, `e${this.serial}`)
    if (object === undefined || sent === undefined) {
      ledger.break(`e${this.serial} took something of ${group} that nobody sent`)
      return undefined
    }
    if (!isAsSent(object, sent.bytes)) ledger.break(`e${this.serial} took object ${sent.id}, which is damaged`)
    if (sentAt !== undefined && sentAt.getTime() !== sent.id) ledger.break(`object ${sent.id} has another one's time`)
    if (kind === 'broadcast') return sent
    this.#note(`takes ${sent.id} of ${group}, attempt ${attempt}`)
    ledger.taken(sent, group, attempt, this.serial)
    return sent
  }

  /** Asks the iterator for the next delivery, if it has none; the one before is acknowledged by that. */
  iterate(): void {
    if (this.#iterating) return
    const { program } = this
    const { ledger } = this.#surroundings
    this.#iterator ??= iterate(program, (entry, object) => ({
      object,
      delivery: deliveryOf(entry, object, program.settlement),
    }))
    this.#iterating = true
    this.#settleHeld('acknowledged')
    this.#iterator.next().then(
      ({ value }) => {
        this.#iterating = false
        if (value === undefined) return
        const { object, delivery } = value
        const sent = this.#took(object, delivery)
        if (sent === undefined || delivery.kind === 'broadcast') return
        this.#held = { object: sent, delivery }
        ledger.worksOn(sent, delivery.group, this.serial)
      },
      (error: unknown) => {
        this.#iterating = false
        this.#iterator = undefined
        if (!this.#mayFail(error)) ledger.break(`e${this.serial} could not iterate: ${String(error)}`)
      },
    )
  }

  /** Settles what the iterator gave last, as a program does by `ack` and `release`. */
  settle(how: 'ack' | 'release'): void {
    const held = this.#held
    if (held === undefined) return
    this.#note(`settles ${held.object.id}: ${how}`)
    if (how === 'ack') held.delivery.ack()
    else held.delivery.release()
    this.#settleHeld(how === 'ack' ? 'acknowledged' : 'givenBack')
  }

  #settleHeld(how: 'acknowledged' | 'givenBack'): void {
    const held = this.#held
    this.#held = undefined
    if (held === undefined) return
    const { object, delivery } = held
    this.#surroundings.ledger[how](object, delivery.group)
    this.#surroundings.ledger.isDoneWith(object, delivery.group, this.serial)
  }

  /** Runs `work` for a group; each object takes a while, and fails now and then. */
  work(group: string, concurrency: number, next: () => { durationMs: number; fails: boolean }): void {
    const handler = async (value: unknown, delivery: Delivery) => {
      const sent = this.#took(value, delivery)
      const { durationMs, fails } = next()
      const { ledger } = this.#surroundings
      if (sent !== undefined) ledger.worksOn(sent, delivery.group, this.serial)
      this.#handlers++
      await new Promise<void>((resolve) => this.machine.program.after(durationMs, resolve))
      this.#handlers--
      if (sent !== undefined) ledger.isDoneWith(sent, delivery.group, this.serial)
      if (fails) {
        this.#note(`fails at ${sent?.id}`)
        if (sent !== undefined) this.#surroundings.ledger.failed(sent, delivery.group, delivery.attempt, this.serial)
        throw new Error('The work failed, as it does now and then.')
      }
      if (sent !== undefined) this.#surroundings.ledger.acknowledged(sent, delivery.group)
    }
    this.#works.push(this.program.workers.start(group, handler, { concurrency }))
  }

  stopWorks(): void {
    for (const work of this.#works) void work.stop()
    this.#works = []
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────

  /** Stops; what its loop has in hand is done only after `lingerMs`. */
  async stop(deadlineMs: number, lingerMs = 0): Promise<StopResult | undefined> {
    if (this.state === 'stopping' || this.state === 'stopped') return undefined
    this.state = 'stopping'
    this.#note(`stops within ${deadlineMs} ms`)
    const { ledger, later } = this.#surroundings
    ledger.leaving(this.groups)
    later(deadlineMs + GOODBYE_MS, () => ledger.left(this.groups))
    ledger.mayLose(this.serial)
    const { program, io } = this.machine
    const beganMs = program.nowMs()
    if (lingerMs === 0) this.#leaveLoop()
    else program.after(lingerMs, () => this.#leaveLoop())
    const result = await this.program.stopping.run(deadlineMs)
    this.state = 'stopped'
    const inHand = this.#handlers + (this.#holdsLease() ? 1 : 0)
    if (inHand > 0 && !result.deadlineReached && this.program.status.failure === undefined)
      ledger.break(`e${this.serial} has stopped before its deadline, with ${inHand} objects in hand`)
    // A thread that is frozen cannot give anything back in time.
    if (Math.max(program.frozenUntilMs, io.frozenUntilMs) < beganMs)
      program.after(0, () => this.#checkUndelivered(result))
    this.#note(
      `is stopped; undelivered: ${result.undelivered.length}${result.deadlineReached ? ', at the deadline' : ''}`,
    )
    return result
  }

  /** Whether its loop has an object that is leased to it still, or was until the stop took it away. */
  #holdsLease(): boolean {
    if (this.#held === undefined) return false
    const reason: unknown = this.#held.delivery.signal.reason
    if (!(reason instanceof ObjectRelayError) || reason.code !== 'LEASE_LOST') return true
    return reason.message.startsWith('The endpoint was stopped')
  }

  #leaveLoop(): void {
    this.#settleHeld('acknowledged')
    void this.#iterator?.return()
  }

  /** What was not accepted came back, in the order of the calls. */
  #checkUndelivered({ undelivered }: StopResult): void {
    const { ledger } = this.#surroundings
    const idOf = ({ object, kind }: UndeliveredObject) =>
      kind === 'clearRetained' ? -1 : simulatedObjectOf(object)?.id
    const returned = undelivered.map((one) => idOf(one) ?? 0)
    if (returned.join() !== this.#unknown.join())
      ledger.break(`e${this.serial} did not know of ${this.#unknown.join()} and got back ${returned.join()}`)
  }
}
