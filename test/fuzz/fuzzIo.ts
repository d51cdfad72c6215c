import type { Clock } from '../../src/clock.ts'
import type { EndpointConfiguration } from '../../src/endpoint/jsonRecords.ts'
import { EndpointSession } from '../../src/endpoint/network/session.ts'
import type { TicketPool } from '../../src/endpoint/network/ticketPool.ts'
import { type EndpointRecords, EndpointTable, type Io } from '../../src/endpoint/program/io.ts'
import { RecordType } from '../../src/endpoint/records.ts'
import { createPortPair } from '../../src/endpoint/threads/portPair.ts'
import type { RecordHandler, RecordPort } from '../../src/endpoint/threads/recordPort.ts'
import type { Transport } from '../../src/transport/transport.ts'
import { readJson } from '../../src/wire/controlFrames.ts'

/** The I/O of one process, with a clock and connections of the test's own. */
export class FuzzIo implements Io, RecordHandler {
  readonly port: RecordPort
  readonly canBlock = false
  readonly #table = new EndpointTable()
  readonly #io: RecordPort
  readonly #sessions = new Map<number, EndpointSession>()
  readonly #surroundings: { clock: Clock; tickets: TicketPool; connect(port: number): Transport }
  #attachments = 0

  /** `connect` gives the endpoint's end of a connection to the relay at that port. */
  constructor(surroundings: { clock: Clock; tickets: TicketPool; connect(port: number): Transport }) {
    this.#surroundings = surroundings
    const { program, io } = createPortPair(this.#table, this)
    this.port = program
    this.#io = io
  }

  get sessions(): number {
    return this.#sessions.size
  }

  flush(): boolean {
    return true
  }

  add(endpoint: EndpointRecords): number {
    return this.#table.add(endpoint)
  }

  remove(id: number): void {
    this.#table.remove(id)
  }

  keepAlive(id: number, isKept: boolean): void {
    this.#table.keepAlive(id, isKept)
  }

  record(endpoint: number, buffer: Buffer, start: number, end: number): void {
    if (buffer[start + 4] !== RecordType.OPEN) {
      this.#sessions.get(endpoint)?.record(buffer, start, end)
      return
    }
    // The program's side has checked every field.
    const configuration = readJson(buffer, start, end) as unknown as EndpointConfiguration
    const { clock, tickets, connect } = this.#surroundings
    const host = {
      port: this.#io,
      clock,
      tickets,
      connect: async ({ port }: { readonly port: number }) => connect(port),
      nextAttachment: () => ++this.#attachments,
      ended: (id: number) => this.#sessions.delete(id),
    }
    this.#sessions.set(endpoint, new EndpointSession(endpoint, configuration, host))
  }
}
