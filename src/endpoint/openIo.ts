// An endpoint has two sides, program/ and network/; all that passes between them is in records.ts, and travels through threads/.
// This folder's own files may import both sides. The sides do not import each other, and nothing of an endpoint imports the relay or a store.
// Changes that belong here: how the two sides are joined, on two threads or on one, and what a record says.

import { MessageChannel, Worker } from 'node:worker_threads'
import { createError, type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { startThread } from '../threads.ts'
import type { IoThreadData } from './network/ioThread.ts'
import { EndpointSessions } from './network/sessionHost.ts'
import { type EndpointRecords, EndpointTable, type Io } from './program/io.ts'
import { encodeFlush, objectRuns } from './records.ts'
import { createPortPair } from './threads/portPair.ts'
import { RecordPort } from './threads/recordPort.ts'
import { createRingMemory, RingReader, RingWriter } from './threads/ring.ts'
import { ThreadWaker } from './threads/threadWaker.ts'

/** A process that ends does not wait for its I/O thread longer than this; that takes about one millisecond, unless the machine is overloaded. */
const FLUSH_AT_EXIT_MS = 500

let threadIo: ThreadIo | undefined
let inlineIo: InlineIo | undefined

/** The longest that a timer can wait. */
const TIMER_MS_MAX = 0x7fff_ffff

/**
 * The I/O of this process's endpoints: one background thread for all of them, or the program's own thread. The thread
 * starts with the first endpoint and is kept for the next ones. Its sockets and timers never keep a program alive by
 * themselves: the endpoints do, unless they are told not to.
 */
export function openIo(mode: 'thread' | 'inline'): Io {
  if (mode === 'inline') {
    inlineIo ??= new InlineIo()
    return inlineIo
  }
  threadIo ??= new ThreadIo(() => {
    threadIo = undefined
  })
  return threadIo
}

class InlineIo implements Io {
  readonly port: RecordPort
  readonly canBlock = false
  readonly #table = new EndpointTable((isKept) => this.#keepProgramAlive(isKept))
  #alive: NodeJS.Timeout | undefined
  readonly #sessions = new EndpointSessions()

  constructor() {
    const { program, io } = createPortPair(this.#table, this.#sessions)
    this.#sessions.connect(io)
    this.port = program
    this.#table.waker = program.waker
  }

  flush(id: number): boolean {
    this.port.waker.wakeNow?.()
    return this.#sessions.flush(id)
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

  #keepProgramAlive(isKept: boolean): void {
    clearInterval(this.#alive)
    this.#alive = isKept ? setInterval(() => undefined, TIMER_MS_MAX) : undefined
  }
}

class ThreadIo implements Io {
  readonly port: RecordPort
  readonly #table = new EndpointTable((isKept) => {
    this.#isKept = isKept
    this.#keepProgramAlive()
  })
  readonly #ended: () => void
  /** Only in a bundled program it is not there at once; what is written meanwhile waits in the ring. */
  #worker: Worker | undefined
  #isKept = false

  constructor(ended: () => void) {
    this.#ended = ended
    // Fixed, once per process: memory shared per object is reclaimed late and grows to gigabytes.
    const up = createRingMemory(fixedLimits.ringBytes, true)
    const down = createRingMemory(fixedLimits.ringBytes, true)
    const wakes = new MessageChannel()
    const attachments = new MessageChannel()
    const data: IoThreadData = { up, down, wakes: wakes.port2, attachments: attachments.port2 }
    this.port = new RecordPort(
      new RingWriter(up),
      new RingReader(down, objectRuns),
      new ThreadWaker(wakes.port1, attachments.port1),
      this.#table,
    )
    this.#table.waker = this.port.waker
    wakes.port1.unref()
    const close = () => {
      wakes.port1.close()
      attachments.port1.close()
    }
    const started = startThread('objectrelay I/O', {
      workerData: data,
      transferList: [wakes.port2, attachments.port2],
      env: process.env,
    })
    if (started instanceof Worker) this.#begin(started, close)
    else {
      started.then(
        (worker) => this.#begin(worker, close),
        (thrown: unknown) => {
          close()
          this.#end(toObjectRelayError(thrown, 'BACKGROUND_FAILED'))
        },
      )
    }
  }

  /** A program that blocks its thread before the other one is there would wait forever. */
  get canBlock(): boolean {
    return this.#worker !== undefined
  }

  #begin(worker: Worker, close: () => void): void {
    this.#worker = worker
    this.#keepProgramAlive()
    const flushAtExit = () => {
      if (!this.#table.isEmpty) this.port.flushAndWait(encodeFlush(), FLUSH_AT_EXIT_MS)
    }
    process.on('exit', flushAtExit)
    let cause: Error | undefined
    worker.on('error', (error) => {
      cause = error
    })
    worker.on('exit', (code) => {
      process.off('exit', flushAtExit)
      close()
      this.#end(
        createError(
          'BACKGROUND_FAILED',
          `The I/O thread ended unexpectedly with code ${code}${cause === undefined ? '' : `: ${cause.message}`}.`,
          cause === undefined ? {} : { cause },
        ),
      )
    })
  }

  #keepProgramAlive(): void {
    if (this.#isKept) this.#worker?.ref()
    else this.#worker?.unref()
  }

  #end(error: ObjectRelayError): void {
    this.#ended()
    this.#table.failAll(error)
  }

  /** What is written is in the ring, from where it leaves whatever this thread does next; and see the exit of the process. */
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
}
