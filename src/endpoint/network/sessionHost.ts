import { backgroundClock } from '../../clock.ts'
import { connectTransport } from '../../transport/connect.ts'
import { readJson } from '../../wire/controlFrames.ts'
import type { EndpointConfiguration } from '../jsonRecords.ts'
import { dropAttachment, RecordType } from '../records.ts'
import { NO_ENDPOINT, type RecordHandler, type RecordPort } from '../threads/recordPort.ts'
import { EndpointSession, type SessionHost } from './session.ts'
import { TicketPool } from './ticketPool.ts'

/** A link whose peer does not read would never be done; the program that ends has a bound of its own. */
const FLUSH_TURNS_MAX = 100

/** The I/O side of all endpoints of one process: makes a session for each that is opened. */
export class EndpointSessions implements RecordHandler {
  readonly #sessions = new Map<number, EndpointSession>()
  #host: SessionHost | undefined
  #attachments = 0

  /** The port that this side reads from and writes to; given once, before the first record. */
  connect(port: RecordPort): void {
    this.#host = {
      port,
      clock: backgroundClock,
      tickets: new TicketPool(backgroundClock),
      connect: connectTransport,
      nextAttachment: () => ++this.#attachments,
      ended: (endpoint) => this.#sessions.delete(endpoint),
    }
  }

  /** Lets what one endpoint wrote leave now. False if something of it still waits for the operating system. */
  flush(endpoint: number): boolean {
    return this.#sessions.get(endpoint)?.flush() ?? true
  }

  /** The same with all, until nothing waits any more, or for so many turns. */
  #flushAll(port: RecordPort, turnsLeft: number): void {
    let isDone = true
    for (const session of this.#sessions.values()) if (!session.flush()) isDone = false
    if (isDone || turnsLeft === 0) port.flushed()
    else setImmediate(() => this.#flushAll(port, turnsLeft - 1))
  }

  record(endpoint: number, buffer: Buffer, start: number, end: number): void {
    if (this.#host === undefined) return
    if (endpoint === NO_ENDPOINT) {
      this.#flushAll(this.#host.port, FLUSH_TURNS_MAX)
      return
    }
    const session = this.#sessions.get(endpoint)
    if (session !== undefined) session.record(buffer, start, end)
    else if (buffer[start + 4] === RecordType.OPEN) {
      // The program's side, in the same process, has checked every field.
      const configuration = readJson(buffer, start, end) as unknown as EndpointConfiguration
      this.#sessions.set(endpoint, new EndpointSession(endpoint, configuration, this.#host))
    } else dropAttachment(this.#host.port.waker, buffer, start, end)
  }
}
