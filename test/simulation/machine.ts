import type { EndpointConfiguration } from '../../src/endpoint/jsonRecords.ts'
import { EndpointSession } from '../../src/endpoint/network/session.ts'
import { TicketPool } from '../../src/endpoint/network/ticketPool.ts'
import { type EndpointRecords, EndpointTable, type Io } from '../../src/endpoint/program/io.ts'
import { dropAttachment, objectRuns, RecordType } from '../../src/endpoint/records.ts'
import { type RecordHandler, RecordPort } from '../../src/endpoint/threads/recordPort.ts'
import { createRingMemory, RingReader, RingWriter } from '../../src/endpoint/threads/ring.ts'
import type { Waker } from '../../src/endpoint/threads/waker.ts'
import { readJson } from '../../src/wire/controlFrames.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'
import type { Connection, SimulatedNetwork } from './network.ts'
import { type Scheduler, SimulatedThread } from './scheduler.ts'

/** The least that the largest record needs: so that rings run full now and then. */
const RING_BYTES = 512 * 1024

/** Who wants to know what the I/O tells an endpoint's program, before the program does, and what the program asks of it. */
export interface RecordWitness {
  told(buffer: Buffer, start: number, end: number, run: number): void
  /** The program asks for objects: a NOTIFY. */
  asks(buffer: Buffer, start: number, end: number): void
}

/** Between the threads of one machine: wakes after a moment, when the other thread runs. */
class SimulatedWaker implements Waker {
  onWake: () => void = () => undefined
  peer: SimulatedWaker | undefined
  readonly #thread: SimulatedThread
  readonly #attachments = new Map<number, readonly ArrayBuffer[]>()
  #isWaking = false

  /** `thread` is the one that hears it. */
  constructor(thread: SimulatedThread) {
    this.#thread = thread
  }

  wake(): void {
    const { peer } = this
    if (peer === undefined || peer.#isWaking) return
    peer.#isWaking = true
    peer.#thread.soon(() => {
      peer.#isWaking = false
      peer.onWake()
    })
  }

  sendAttachment(id: number, buffers: readonly ArrayBuffer[]): void {
    const { peer } = this
    if (peer !== undefined) peer.#attachments.set(id, buffers)
  }

  takeAttachment(id: number): readonly ArrayBuffer[] {
    const buffers = this.#attachments.get(id) ?? []
    this.#attachments.delete(id)
    return buffers
  }

  get attachments(): number {
    return this.#attachments.size
  }
}

/** The I/O's end of the rings, which shows what it writes. */
class WitnessedPort extends RecordPort {
  witness: (endpoint: number, buffer: Buffer, start: number, end: number) => void = () => undefined

  override write(endpoint: number, buffer: Buffer, start: number, end: number): void {
    this.witness(endpoint, buffer, start, end)
    super.write(endpoint, buffer, start, end)
  }
}

interface OpenSession {
  readonly session: EndpointSession
  /** The run of the relay that it is connected to, or was last. */
  run: number
}

/** One process with the real library in it: the program's thread and the I/O thread, each of which may be frozen by itself. */
export class Machine implements Io, RecordHandler {
  readonly canBlock = false
  readonly port: RecordPort
  readonly program: SimulatedThread
  readonly io: SimulatedThread
  readonly #network: SimulatedNetwork
  readonly #table = new EndpointTable()
  readonly #ioPort: WitnessedPort
  readonly #tickets: TicketPool
  readonly #sessions = new Map<number, OpenSession>()
  readonly #witnesses = new Map<number, RecordWitness>()
  readonly #wakers: readonly SimulatedWaker[]
  #attachments = 0
  /** Connections of all its endpoints, the old ones too. */
  connections: Connection[] = []
  /** For the endpoint that is added next. */
  nextWitness: RecordWitness | undefined

  constructor(name: string, scheduler: Scheduler, network: SimulatedNetwork) {
    this.program = new SimulatedThread(`${name} program`, scheduler)
    this.io = new SimulatedThread(`${name} I/O`, scheduler)
    this.#network = network
    this.#tickets = new TicketPool(this.io)
    const up = createRingMemory(RING_BYTES, false)
    const down = createRingMemory(RING_BYTES, false)
    const programWaker = new SimulatedWaker(this.program)
    const ioWaker = new SimulatedWaker(this.io)
    programWaker.peer = ioWaker
    ioWaker.peer = programWaker
    this.#wakers = [programWaker, ioWaker]
    this.port = new RecordPort(new RingWriter(up), new RingReader(down, objectRuns), programWaker, this.#table)
    this.#table.waker = programWaker
    this.#ioPort = new WitnessedPort(new RingWriter(down), new RingReader(up), ioWaker, this)
    this.#ioPort.witness = (endpoint, buffer, start, end) => {
      this.#witnesses.get(endpoint)?.told(buffer, start, end, this.#sessions.get(endpoint)?.run ?? 0)
    }
  }

  flush(): boolean {
    return true
  }

  add(endpoint: EndpointRecords): number {
    const id = this.#table.add(endpoint)
    if (this.nextWitness !== undefined) this.#witnesses.set(id, this.nextWitness)
    return id
  }

  remove(id: number): void {
    this.#table.remove(id)
  }

  keepAlive(id: number, isKept: boolean): void {
    this.#table.keepAlive(id, isKept)
  }

  /** How many sessions are not over, and how many attachments nobody took. */
  get left(): { sessions: number; attachments: number } {
    return {
      sessions: this.#sessions.size,
      attachments: this.#wakers.reduce((sum, { attachments }) => sum + attachments, 0),
    }
  }

  record(endpoint: number, buffer: Buffer, start: number, end: number): void {
    if (buffer[start + 4] !== RecordType.OPEN) {
      if (buffer[start + 4] === FrameType.NOTIFY) this.#witnesses.get(endpoint)?.asks(buffer, start, end)
      const open = this.#sessions.get(endpoint)
      if (open === undefined) dropAttachment(this.#ioPort.waker, buffer, start, end)
      else open.session.record(buffer, start, end)
      return
    }
    // The program's side, in the same process, has checked every field.
    const configuration = readJson(buffer, start, end) as unknown as EndpointConfiguration
    const open: { session?: EndpointSession; run: number; connection?: Connection } = { run: 0 }
    const session = new EndpointSession(endpoint, configuration, {
      port: this.#ioPort,
      clock: this.io,
      tickets: this.#tickets,
      connect: (options) =>
        this.#network.connect(this.io, options, (connection) => {
          open.run = connection.run
          open.connection = connection
          this.connections = this.connections.filter(({ endpoint: end }) => !end.gone)
          this.connections.push(connection)
        }),
      nextAttachment: () => ++this.#attachments,
      ended: (id) => {
        const { connection } = open
        if (connection?.endpoint.endedAtMs === this.io.nowMs()) connection.leftForGood = true
        this.#sessions.delete(id)
      },
    })
    this.#sessions.set(endpoint, Object.assign(open, { session }))
  }

  freeze(what: 'program' | 'io' | 'all', durationMs: number): void {
    if (what !== 'io') this.program.freeze(durationMs)
    if (what !== 'program') this.io.freeze(durationMs)
  }

  thaw(): void {
    this.program.thaw()
    this.io.thaw()
  }

  /** It is gone for ever; `told`: whether its operating system still says so to the relay. */
  kill(told: boolean): void {
    this.program.kill()
    this.io.kill()
    for (const connection of this.connections) this.#network.cut(connection, told ? 'relay' : 'none')
  }
}
