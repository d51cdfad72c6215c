import type { ObjectRelayError } from '../errors.ts'
import type { Bell, RecordHandler, RecordPort } from './recordPort.ts'
import { dropAttachment } from './records.ts'

/** An endpoint in the program, as its I/O sees it. */
export interface EndpointRecords {
  /** A record for this endpoint, see records.ts. The bytes are reused after the call. */
  record(buffer: Buffer, start: number, end: number): void
  /** The I/O ended without being asked to; nothing more will come. */
  failed(error: ObjectRelayError): void
}

/** The program's side of its I/O: `io: 'thread'` or `io: 'inline'`. */
export interface Io {
  readonly port: RecordPort
  /** Whether the program's thread may block and still be served. */
  readonly canBlock: boolean
  /** Adds an endpoint and returns the number that its records carry. The program is kept alive while there is one. */
  add(endpoint: EndpointRecords): number
  remove(id: number): void
}

/** Gives records to the endpoint that they are for. */
export class EndpointTable implements RecordHandler {
  /** The program's end of the bell; given once, before the first record. */
  bell: Bell | undefined
  readonly #endpoints = new Map<number, EndpointRecords>()
  #nextId = 1

  get size(): number {
    return this.#endpoints.size
  }

  add(endpoint: EndpointRecords): number {
    const id = this.#nextId++
    this.#endpoints.set(id, endpoint)
    return id
  }

  remove(id: number): void {
    this.#endpoints.delete(id)
  }

  record(endpoint: number, buffer: Buffer, start: number, end: number): void {
    const known = this.#endpoints.get(endpoint)
    if (known !== undefined) known.record(buffer, start, end)
    else if (this.bell !== undefined) dropAttachment(this.bell, buffer, start, end)
  }

  failAll(error: ObjectRelayError): void {
    for (const endpoint of [...this.#endpoints.values()]) endpoint.failed(error)
  }
}
