import { expect } from 'vitest'
import { Broker } from '../../src/core/broker.ts'
import type { Session } from '../../src/core/entities/model.ts'
import { silentJournal } from '../../src/core/journal.ts'
import type {
  BrokerEvent,
  BrokerLimits,
  BrokerOptions,
  BrokerOutput,
  Delivery,
  JoinOptions,
  Payload,
  Route,
  RouteKind,
} from '../../src/core/ports.ts'
import type { ObjectRelayError } from '../../src/errors.ts'
import { relayLimitDefaults } from '../../src/limits.ts'

/** An object of a test: its name stands in transcripts; or a run of objects, with their names in a row. */
export interface TestPayload {
  bytes: number
  objects: number
  name: string
}

/** The name of a payload that a {@link TestBroker} was given. */
export function nameOf(payload: Payload): string {
  return 'name' in payload ? String(payload.name) : 'none'
}

export type TestSession = Session

/** A broker whose output is a transcript of short lines, and that is called with names. */
export class TestBroker implements BrokerOutput<TestPayload> {
  readonly broker: Broker
  readonly deliveries: Delivery<TestPayload>[] = []
  readonly errors: ObjectRelayError[] = []
  private readonly routes = new Map<string, Route>()
  /** Of the objects of runs, by name. */
  private readonly sizes = new Map<string, number>()
  private lines: string[] = []
  private sequence = 0

  constructor(limits: Partial<BrokerLimits> = {}, acceptedGroups: BrokerOptions['acceptedGroups'] = null) {
    this.broker = new Broker({ acceptedGroups, limits: { ...relayLimitDefaults, ...limits } }, this, silentJournal)
  }

  join(id: string, groups: string | string[] = [], options: Partial<JoinOptions> = {}): TestSession {
    return this.broker.join(id, [groups].flat(), { broadcasts: 'every', inboxBytes: 1_000_000, ...options })
  }

  produce(session: TestSession, names: string, groups: Record<string, number> | string, bytes = 10): void {
    const copies = typeof groups === 'string' ? { [groups]: 1 } : groups
    for (const name of names.split(' ')) this.send(session, name, this.route('produce', copies), bytes)
  }

  /** All of them as one run. */
  produceRun(session: TestSession, names: string, group: string, sizes?: readonly number[]): void {
    for (const [index, name] of names.split(' ').entries()) this.sizes.set(name, sizes?.[index] ?? 10)
    const run = this.runOf(names.split(' '))
    this.broker.send(session, this.sequence, this.route('produce', { [group]: 1 }), run)
    this.sequence += names.split(' ').length
  }

  broadcast(session: TestSession, names: string, groups: string | string[], bytes = 10): void {
    const copies = Object.fromEntries([groups].flat().map((group) => [group, 1]))
    for (const name of names.split(' ')) this.send(session, name, this.route('broadcast', copies), bytes)
  }

  /** A broadcast that is not retained. */
  announce(session: TestSession, name: string, group: string, bytes = 10): void {
    this.send(session, name, this.route('unretained', { [group]: 1 }), bytes)
  }

  clear(session: TestSession, group: string): void {
    this.send(session, 'clear', this.route('clear', { [group]: 1 }), 1)
  }

  /** Begins a large object and returns its sequence number. */
  begin(session: TestSession, name: string, kind: RouteKind, group: string, bytes = 10): number {
    const sequence = this.sequence++
    const payload: TestPayload = { bytes, objects: 1, name }
    this.broker.begin(session, sequence, this.route(kind, { [group]: 1 }), payload)
    return sequence
  }

  /** What the broker said since the last call. */
  said(): string[] {
    const { lines } = this
    this.lines = []
    return lines
  }

  /** What it said and starts with one of these words. */
  heard(...words: string[]): string[] {
    return this.said().filter((line) => words.some((word) => line.startsWith(word)))
  }

  /** The program of `session` has seen all that it has on lease; then the session is over. */
  vanish(session: TestSession): void {
    if (session.leases.next > 0) this.broker.seen(session, 0, session.leases.next - 1)
    this.broker.leave(session, 'lost')
  }

  deliver(session: TestSession, delivery: Delivery<TestPayload>): void {
    this.deliveries.push(delivery)
    const { payload, kind, group, attempt, skipped, leaseNumber } = delivery
    const again = attempt > 1 ? ` attempt ${attempt}` : ''
    const missed = skipped > 0 ? ` skipped ${skipped}` : ''
    this.lines.push(
      `${session.id} gets ${payload.name} of ${group}${kind === 'produce' ? ` #${leaseNumber}` : ''}${again}${missed}`,
    )
  }

  accepted(_session: TestSession, sequence: number, objects: number, memberCounts: readonly number[]): void {
    const last = objects === 1 ? '' : `-${sequence + objects - 1}`
    this.lines.push(`accepted ${sequence}${last} (${memberCounts.join(' ')})`)
  }

  rejected(_session: TestSession, sequence: number, error: ObjectRelayError): void {
    this.errors.push(error)
    this.lines.push(`rejected ${sequence} ${error.code}`)
  }

  admitted(_session: TestSession, sequence: number): void {
    this.lines.push(`admitted ${sequence}`)
  }

  abortDelivery(session: TestSession, payload: TestPayload): void {
    this.lines.push(`${session.id} discards ${payload.name}`)
  }

  blocked(session: TestSession, group: string): void {
    this.lines.push(`blocked ${session.id} ${group}`)
  }

  unblocked(session: TestSession, group: string): void {
    this.lines.push(`unblocked ${session.id} ${group}`)
  }

  released(payload: TestPayload): void {
    this.lines.push(`released ${payload.name}`)
  }

  firstBytes({ name }: TestPayload): number {
    return this.runOf(name.split(' ', 1)).bytes
  }

  cut(run: TestPayload, objects: number): TestPayload {
    const names = run.name.split(' ')
    Object.assign(run, this.runOf(names.slice(objects)))
    return this.runOf(names.slice(0, objects))
  }

  dateMs(): number {
    return 1_700_000_000_000
  }

  event(event: BrokerEvent): void {
    if (event.type === 'objectDead') {
      const { attempts, reason, endpoint } = event.deadLetter
      this.lines.push(`event objectDead ${event.group} ${attempts} ${reason} at ${endpoint}`)
      return
    }
    const { type, ...facts } = event
    this.lines.push(`event ${type} ${Object.values(facts).join(' ')}`)
  }

  private runOf(names: readonly string[]): TestPayload {
    const bytes = names.reduce((sum, name) => sum + (this.sizes.get(name) ?? 0), 0)
    return { bytes, objects: names.length, name: names.join(' ') }
  }

  private send(session: TestSession, name: string, route: Route, bytes: number): void {
    const payload: TestPayload = { bytes, objects: 1, name }
    this.broker.send(session, this.sequence++, route, payload)
  }

  /** The same object for the same route, as the shell does it. */
  private route(kind: RouteKind, copies: Record<string, number>): Route {
    const key = kind + JSON.stringify(copies)
    const known = this.routes.get(key)
    if (known !== undefined) return known
    const route = { kind, groups: Object.keys(copies), copies: Object.values(copies) }
    this.routes.set(key, route)
    return route
  }
}

/** Runs what must be refused, and returns the code of the error. */
export function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    expect(error).toHaveProperty('code')
    return String(error instanceof Error && 'code' in error ? error.code : error)
  }
  return 'nothing was thrown'
}
