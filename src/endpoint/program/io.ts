import type { ObjectRelayError } from '../../errors.ts'
import { dropAttachment } from '../records.ts'
import type { RecordHandler, RecordPort } from '../threads/recordPort.ts'
import type { Waker } from '../threads/waker.ts'

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
  /**
   * Lets what the endpoint wrote leave now, where that can be done from this thread. False if something of it still waits for the
   * operating system.
   */
  flush(id: number): boolean
  /** Adds an endpoint and returns the number that its records carry. The program is kept alive while there is one, see {@link keepAlive}. */
  add(endpoint: EndpointRecords): number
  remove(id: number): void
  /** Whether the program is kept alive for this endpoint. */
  keepAlive(id: number, isKept: boolean): void
}

/** Gives records to the endpoint that they are for. */
export class EndpointTable implements RecordHandler {
  /** What wakes the I/O; given once, before the first record. */
  waker: Waker | undefined
  readonly #endpoints = new Map<number, EndpointRecords>()
  /** For which the program is kept alive. */
  readonly #kept = new Set<number>()
  readonly #keepAlive: (isKept: boolean) => void
  #nextId = 1

  /** `keepAlive` is told when the program is to be kept alive, and when not any more. */
  constructor(keepAlive: (isKept: boolean) => void = () => undefined) {
    this.#keepAlive = keepAlive
  }

  /** Whether there is no endpoint. */
  get isEmpty(): boolean {
    return this.#endpoints.size === 0
  }

  add(endpoint: EndpointRecords): number {
    const id = this.#nextId++
    this.#endpoints.set(id, endpoint)
    this.keepAlive(id, true)
    return id
  }

  remove(id: number): void {
    this.keepAlive(id, false)
    this.#endpoints.delete(id)
  }

  keepAlive(id: number, isKept: boolean): void {
    // One that was removed stays so.
    if (!this.#endpoints.has(id)) return
    const before = this.#kept.size
    if (isKept) this.#kept.add(id)
    else this.#kept.delete(id)
    const after = this.#kept.size
    if ((before === 0) !== (after === 0)) this.#keepAlive(after > 0)
  }

  record(endpoint: number, buffer: Buffer, start: number, end: number): void {
    const known = this.#endpoints.get(endpoint)
    if (known !== undefined) known.record(buffer, start, end)
    else if (this.waker !== undefined) dropAttachment(this.waker, buffer, start, end)
  }

  failAll(error: ObjectRelayError): void {
    for (const endpoint of [...this.#endpoints.values()]) endpoint.failed(error)
  }
}
