import { FakeClock } from '../../src/clock.fixture.ts'
import type { AcceptedGroup } from '../../src/core/ports.ts'
import type { EndpointConfiguration, EndpointState } from '../../src/endpoint/jsonRecords.ts'
import { EndpointSession } from '../../src/endpoint/network/session.ts'
import { TicketPool } from '../../src/endpoint/network/ticketPool.ts'
import { type LeaseRange, noLeases, RecordType, SETTLED_BYTES, writeSettled } from '../../src/endpoint/records.ts'
import { createPortPair } from '../../src/endpoint/threads/portPair.ts'
import type { RecordPort } from '../../src/endpoint/threads/recordPort.ts'
import { endpointLimitDefaults, type RelayLimits, relayLimitDefaults } from '../../src/limits.ts'
import type { RelayEventMessage } from '../../src/relay/relayEvents.ts'
import { RelayServer } from '../../src/relay/relayServer.ts'
import { endpointIdOf, makeSessionSecret } from '../../src/security/endpointId.ts'
import { EndpointProof } from '../../src/security/endpointProof.ts'
import { receiveAtOnce } from '../../src/security/proofExchange.fixture.ts'
import { RelayAuthenticator, type RelayProof } from '../../src/security/relayProof.ts'
import { openStore } from '../../src/store/memoryStore.ts'
import type { Store } from '../../src/store/store.ts'
import { createMemoryLink, type MemoryLink, type MemoryTransport } from '../../src/transport/memoryTransport.ts'
import { encodeJson, encodeNotify, readAccepted, readJson, readRejected } from '../../src/wire/controlFrames.ts'
import { FrameReader } from '../../src/wire/frameReader.ts'
import { FRAME_HEADER_BYTES, FrameType } from '../../src/wire/frameTypes.ts'
import { readUint32 } from '../../src/wire/integers.ts'
import {
  encodeRoute,
  OBJECT_HEAD_BYTES,
  type Route,
  readSequence,
  writeObjectHead,
} from '../../src/wire/objectHeader.ts'
import { encodeProofFrame } from '../../src/wire/proofFrame.ts'

export const PASSWORD = 'correct horse battery staple'

let authenticator: Promise<RelayAuthenticator> | undefined

/** Registering the password takes a moment: once for all tests of a file. */
export function sharedAuthenticator(): Promise<RelayAuthenticator> {
  authenticator ??= RelayAuthenticator.create(
    { password: PASSWORD },
    { ticketMs: 1_000_000, ticketKey: new Uint8Array(32) },
  )
  return authenticator
}

/** An OBJECT frame. */
export function objectFrame(kind: Route['kind'], group: string, sequence: number, body: string | Buffer): Buffer {
  const route = encodeRoute({ kind, groups: [group], copies: [1] })
  const bytes = Buffer.from(body)
  const frame = Buffer.alloc(OBJECT_HEAD_BYTES + route.destinations.length + bytes.length)
  bytes.copy(frame, writeObjectHead(frame, 0, FrameType.OBJECT, route, sequence, 0))
  frame.writeUInt32LE(frame.length)
  return frame
}

/** A frame as it came, for tests. */
export interface SeenFrame {
  readonly type: number
  readonly bytes: Buffer
}

/** A relay and its endpoints in one process, without sockets, in a time of their own. */
export class RelayWorld {
  readonly clock: FakeClock = new FakeClock()
  readonly events: RelayEventMessage[] = []
  server: RelayServer
  readonly links: MemoryLink[] = []
  readonly #authenticator: RelayAuthenticator
  readonly #options: { acceptedGroups: null | Record<string, AcceptedGroup>; limits: RelayLimits }

  private constructor(authenticator: RelayAuthenticator, options: WorldOptions) {
    this.#authenticator = authenticator
    this.#options = {
      acceptedGroups: options.acceptedGroups ?? null,
      limits: { ...relayLimitDefaults, ...options.limits },
    }
    this.server = this.#startServer(options.store)
  }

  static async create(options: WorldOptions = {}): Promise<RelayWorld> {
    return new RelayWorld(await sharedAuthenticator(), options)
  }

  /** The relay is killed and started again: it remembers nothing. */
  restart(): void {
    this.server = this.#startServer()
    for (const link of this.links) link.cut()
  }

  /** A new connection to the relay, whose door has let it in; the near end is the endpoint's. */
  link(): MemoryLink {
    const link = createMemoryLink({ schedule: (run) => this.clock.soon(run) })
    this.links.push(link)
    this.server.admit({ transport: link.far, reached: () => undefined, authenticated: () => undefined })
    return link
  }

  open(options: Partial<EndpointConfiguration> = {}): ProgramEnd {
    return new ProgramEnd(this.clock, async () => this.link().near, options)
  }

  /** Lets everything happen that can, without time passing. */
  settle(): Promise<void> {
    return settle(this.clock)
  }

  async advance(ms: number): Promise<void> {
    await this.settle()
    this.clock.advance(ms)
    await this.settle()
  }

  #startServer(store: Store = openStore()): RelayServer {
    return new RelayServer(this.#options, {
      clock: this.clock,
      authenticator: this.#authenticator,
      store,
      emit: (event) => this.events.push(event),
    })
  }
}

export interface WorldOptions {
  readonly acceptedGroups?: Record<string, AcceptedGroup>
  readonly limits?: Partial<RelayLimits>
  /** Of the first relay. Default: one in memory. */
  readonly store?: Store
}

/** Promises need turns of the real loop; what runs soon is told to. */
export async function settle(clock: FakeClock): Promise<void> {
  for (let quiet = 0; quiet < 6; quiet++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (clock.settle()) quiet = 0
  }
}

/** The program's side of one endpoint's I/O. */
export class ProgramEnd {
  readonly states: EndpointState[] = []
  /** What came, in words. */
  readonly log: string[] = []
  readonly sequences: number[] = []
  stopped: unknown
  readonly #port: RecordPort
  #session: EndpointSession | undefined
  #sequence = 0
  #takenBytes = 0

  constructor(clock: FakeClock, connect: () => Promise<MemoryTransport>, options: Partial<EndpointConfiguration>) {
    const { program, io } = createPortPair(
      { record: (_, buffer, start, end) => this.#record(buffer, start, end) },
      { record: (_, buffer, start, end) => this.#session?.record(buffer, start, end) },
    )
    this.#port = program
    let attachments = 0
    this.#session = new EndpointSession(
      1,
      {
        host: '127.0.0.1',
        port: 1,
        password: PASSWORD,
        session: makeSessionSecret(),
        name: 'an endpoint',
        groups: [],
        security: 'none',
        broadcasts: 'every',
        reconnect: { initialDelayMs: 100, maxDelayMs: 1_000, factor: 2, jitter: 0 },
        limits: { ...endpointLimitDefaults },
        ...options,
      },
      {
        port: io,
        clock,
        tickets: new TicketPool(clock),
        connect,
        nextAttachment: () => ++attachments,
        ended: () => undefined,
      },
    )
  }

  get state(): EndpointState | undefined {
    return this.states.at(-1)
  }

  send(kind: Route['kind'], group: string, body: string | Buffer): number {
    this.#write(objectFrame(kind, group, this.#sequence, body))
    return this.#sequence++
  }

  notify(group: string, count: number): void {
    this.#write(encodeNotify(group, count))
  }

  settleLeases(action: number, from: number, to: number, epoch = 1): void {
    this.#writeSettled({ action, epoch, from, to })
  }

  taken(bytes: number): void {
    this.#takenBytes = bytes
    this.#writeSettled(noLeases)
  }

  stop(deadlineMs: number): void {
    this.#write(encodeJson(RecordType.STOP, { deadlineMs }))
  }

  #writeSettled(leases: LeaseRange): void {
    const record = Buffer.alloc(SETTLED_BYTES)
    writeSettled(record, leases, this.#takenBytes)
    this.#write(record)
  }

  #write(record: Buffer): void {
    this.#port.write(1, record, 0, record.length)
  }

  #record(buffer: Buffer, start: number, end: number): void {
    switch (buffer[start + 4]) {
      case FrameType.OBJECT:
        for (let at = start; at < end; at += readUint32(buffer, at)) {
          this.sequences.push(readSequence(buffer, at))
          this.log.push(`object ${readSequence(buffer, at)}`)
        }
        return
      case FrameType.ACCEPTED: {
        const { from, to } = readAccepted(buffer, start, end)
        for (let sequence = from; sequence <= to; sequence++) this.log.push(`accepted ${sequence}`)
        return
      }
      case FrameType.REJECTED:
        this.log.push(`rejected ${readRejected(buffer, start, end).sequence}`)
        return
      case RecordType.STATE:
        // Written by the session, which is of the same source.
        this.states.push(readJson(buffer, start, end) as unknown as EndpointState)
        return
      case RecordType.STOPPED:
        this.stopped = readJson(buffer, start, end)
    }
  }
}

/** A peer that speaks by hand: reads frames, and writes whatever the test wants. */
export class RawPeer {
  readonly transport: MemoryTransport
  readonly frames: SeenFrame[] = []
  closed = false
  protected readonly reader: FrameReader

  constructor(transport: MemoryTransport) {
    this.transport = transport
    this.reader = new FrameReader({
      frame: (type, buffer, start, end) => this.seen({ type, bytes: Buffer.from(buffer.subarray(start, end)) }),
      chunk: () => undefined,
    })
    transport.onData = (bytes) => this.reader.push(bytes)
    transport.onClose = () => {
      this.closed = true
    }
  }

  protected seen(frame: SeenFrame): void {
    this.frames.push(frame)
  }

  types(): number[] {
    return this.frames.map(({ type }) => type)
  }
}

/** An endpoint by hand: proves the password, says HELLO, and then what it is told to. */
export class RawEndpoint extends RawPeer {
  readonly #proof: EndpointProof
  #authenticated = false

  constructor(transport: MemoryTransport) {
    super(transport)
    this.#proof = new EndpointProof({ password: PASSWORD, channelBinding: transport.channelBinding })
  }

  /** Its public id, for the session that it says it has if nothing else is said. */
  get id(): string {
    return endpointIdOf('ABCDEFGHIJKLMNOPQRSTUV')
  }

  begin(): void {
    this.transport.write(encodeProofFrame(this.#proof.start()))
  }

  hello(fields: Record<string, unknown> = {}): void {
    this.transport.write(
      encodeJson(FrameType.HELLO, {
        version: 1,
        agent: 'raw',
        session: 'ABCDEFGHIJKLMNOPQRSTUV',
        name: 'raw',
        received: null,
        groups: ['g'],
        broadcasts: 'every',
        inboxBytes: 1_000_000,
        objectBytesMax: 1_000_000,
        ...fields,
      }),
    )
  }

  protected override seen(frame: SeenFrame): void {
    if (this.#authenticated) {
      super.seen(frame)
      return
    }
    const { send, outcome } = this.#proof.receive({ type: frame.type, body: frame.bytes.subarray(FRAME_HEADER_BYTES) })
    if (send !== undefined) this.transport.write(encodeProofFrame(send))
    this.#authenticated = outcome !== undefined && 'authenticated' in outcome
  }
}

/** A relay by hand: lets the endpoint prove the password, and then says what it is told to. */
export class RawRelay extends RawPeer {
  readonly #proof: RelayProof
  #authenticated = false

  constructor(transport: MemoryTransport, authenticator: RelayAuthenticator) {
    super(transport)
    this.#proof = authenticator.begin(transport.channelBinding)
  }

  /** A WELCOME, as bytes. */
  welcome(fields: Record<string, unknown> = {}): Buffer {
    const limits = relayLimitDefaults
    return encodeJson(FrameType.WELCOME, {
      version: 1,
      agent: 'raw',
      relay: 'x',
      resumed: false,
      received: 0,
      limits,
      ...fields,
    })
  }

  protected override seen(frame: SeenFrame): void {
    if (this.#authenticated) {
      super.seen(frame)
      return
    }
    const message = { type: frame.type, body: frame.bytes.subarray(FRAME_HEADER_BYTES) }
    const { send, outcome } = receiveAtOnce(this.#proof, message)
    if (send !== undefined) this.transport.write(encodeProofFrame(send))
    this.#authenticated = outcome !== undefined && 'authenticated' in outcome
  }
}
