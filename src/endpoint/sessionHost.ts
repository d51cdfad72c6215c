import type { EndpointConfiguration } from '../background/endpointState.ts'
import type { RecordHandler, RecordPort } from '../background/recordPort.ts'
import { dropAttachment, RecordType } from '../background/records.ts'
import { backgroundClock } from '../clock.ts'
import { connectTransport } from '../transport/connect.ts'
import { readJson } from '../wire/controlFrames.ts'
import { EndpointSession, type SessionHost } from './session.ts'
import { TicketPool } from './ticketPool.ts'

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

  record(endpoint: number, buffer: Buffer, start: number, end: number): void {
    if (this.#host === undefined) return
    const session = this.#sessions.get(endpoint)
    if (session !== undefined) session.record(buffer, start, end)
    else if (buffer[start + 4] === RecordType.OPEN) {
      // The program's side, in the same process, has checked every field.
      const configuration = readJson(buffer, start, end) as unknown as EndpointConfiguration
      this.#sessions.set(endpoint, new EndpointSession(endpoint, configuration, this.#host))
    } else dropAttachment(this.#host.port.bell, buffer, start, end)
  }
}
