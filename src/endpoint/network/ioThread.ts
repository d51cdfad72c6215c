import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { objectRuns } from '../records.ts'
import { RecordPort } from '../threads/recordPort.ts'
import { type RingMemory, RingReader, RingWriter } from '../threads/ring.ts'
import { ThreadWaker } from '../threads/threadWaker.ts'
import { EndpointSessions } from './sessionHost.ts'

/** What the program gives its I/O thread at start. */
export interface IoThreadData {
  readonly up: RingMemory
  readonly down: RingMemory
  readonly wakes: MessagePort
  readonly attachments: MessagePort
}

// The I/O thread of a process: owns the sockets of all its endpoints. The listener on the port that wakes it keeps it alive; a
// pending Atomics.waitAsync or a paused socket would not.
const { up, down, wakes, attachments } = workerData as IoThreadData // openIo.ts gives exactly this
const sessions = new EndpointSessions()
const reader = new RingReader(up, objectRuns)
const port = new RecordPort(new RingWriter(down), reader, new ThreadWaker(wakes, attachments), sessions)
sessions.connect(port)
port.drain()
parentPort?.postMessage('ready')
