import { expect } from 'vitest'
import { Broker } from '../../src/core/broker.ts'
import type {
  BrokerEvent,
  BrokerLimits,
  BrokerOptions,
  BrokerOutput,
  Delivery,
  JoinOptions,
  Route,
} from '../../src/core/contract.ts'
import { silentJournal } from '../../src/core/journal.ts'
import type { Session } from '../../src/core/session.ts'
import type { ObjectRelayError } from '../../src/errors.ts'
import { relayLimitDefaults } from '../../src/limits.ts'

/** An object of a test: its name stands in transcripts. */
export interface TestPayload {
  readonly bytes: number
  readonly name: string
}

export type TestSession = Session<TestPayload>

/** A broker whose output is a transcript of short lines, and that is called with names. */
export class TestBroker implements BrokerOutput<TestPayload> {
  readonly broker: Broker<TestPayload>
  readonly deliveries: Delivery<TestPayload>[] = []
  readonly errors: ObjectRelayError[] = []
  private readonly routes = new Map<string, Route>()
  private lines: string[] = []
  private sequence = 0

  constructor(limits: Partial<BrokerLimits> = {}, acceptedGroups: BrokerOptions['acceptedGroups'] = null) {
    this.broker = new Broker<TestPayload>(
      { acceptedGroups, limits: { ...relayLimitDefaults, ...limits } },
      this,
      silentJournal,
    )
  }

  join(id: string, groups: string | string[] = [], options: Partial<JoinOptions> = {}): TestSession {
    return this.broker.join(id, [groups].flat(), { broadcasts: 'every', inboxBytes: 1_000_000, ...options })
  }

  produce(session: TestSession, names: string, groups: Record<string, number> | string, bytes = 10): void {
    const copies = typeof groups === 'string' ? { [groups]: 1 } : groups
    for (const name of names.split(' ')) this.send(session, name, this.route('produce', copies), bytes)
  }

  broadcast(session: TestSession, names: string, groups: string | string[], bytes = 10): void {
    const copies = Object.fromEntries([groups].flat().map((group) => [group, 1]))
    for (const name of names.split(' ')) this.send(session, name, this.route('broadcast', copies), bytes)
  }

  /** Begins a large object and returns its sequence number. */
  begin(session: TestSession, name: string, kind: 'broadcast' | 'produce', group: string, bytes = 10): number {
    const sequence = this.sequence++
    this.broker.begin(session, sequence, this.route(kind, { [group]: 1 }), { bytes, name })
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

  deliver(session: TestSession, delivery: Delivery<TestPayload>): void {
    this.deliveries.push(delivery)
    const { payload, kind, group, attempt, skipped, leaseNumber } = delivery
    const again = attempt > 1 ? ` attempt ${attempt}` : ''
    const missed = skipped > 0 ? ` skipped ${skipped}` : ''
    this.lines.push(
      `${session.id} gets ${payload.name} of ${group}${kind === 'produce' ? ` #${leaseNumber}` : ''}${again}${missed}`,
    )
  }

  accepted(_session: TestSession, sequence: number, memberCounts: readonly number[]): void {
    this.lines.push(`accepted ${sequence} (${memberCounts.join(' ')})`)
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

  event({ type, ...facts }: BrokerEvent): void {
    this.lines.push(`event ${type} ${Object.values(facts).join(' ')}`)
  }

  private send(session: TestSession, name: string, route: Route, bytes: number): void {
    this.broker.send(session, this.sequence++, route, { bytes, name })
  }

  /** The same object for the same route, as the shell does it. */
  private route(kind: 'broadcast' | 'produce', copies: Record<string, number>): Route {
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
