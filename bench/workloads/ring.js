import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { createRingMemory, RingReader, RingWriter } from '../../dist/endpoint/threads/ring.js'
import { copyBytes } from '../../dist/memoryCopy.js'
import { nowMs, percentile } from '../harness/clock.js'

const ringBytes = 4 * 1024 * 1024
const sizes = [
  { name: '127 B', bytes: 127, records: 2_000_000 },
  { name: '64 KiB', bytes: 64 * 1024, records: 20_000 },
]
const rounds = 20_000
/** On a busy machine each round trip waits for the other thread to get a core. */
const roundsMs = 3_000
const sliceMs = 1
/** An answer that takes longer will not come: the other thread is gone. */
const answerMs = 20_000

/** Records carry their own length, and behind it what they are. */
const typeAt = 4
const types = { data: 0, question: 1, end: 2 }
const answerBytes = 8
/** What lies in a row is read together, as the I/O does. */
const runs = { runType: types.data, runBytesMax: 64 * 1024 }

/** @typedef {{ send: (record: Buffer) => void, settle: () => void, stop: () => Promise<void> }} Passage */

/** Without a ring: the bytes are copied into a slab, and the receiver is called. @returns {Passage} */
function directPassage() {
  const slab = Buffer.alloc(ringBytes)
  let at = 0
  let sum = 0
  const receive = (/** @type {number} */ start) => {
    sum += slab[start] ?? 0
  }
  return {
    send(record) {
      if (at + record.length > slab.length) at = 0
      copyBytes(slab, at, record)
      receive(at)
      at += record.length
    },
    settle() {},
    async stop() {
      if (Number.isNaN(sum)) throw new Error('the bytes were not read')
    },
  }
}

/** The ring with both ends on this thread: `io: 'inline'`. @returns {Passage} */
function inlinePassage() {
  const memory = createRingMemory(ringBytes, false)
  const writer = new RingWriter(memory)
  const reader = new RingReader(memory, runs)
  const settle = () => {
    while (reader.next());
    reader.release()
  }
  return {
    send(record) {
      if (!writer.reserve(0, record.length)) {
        settle()
        writer.reserve(0, record.length)
      }
      copyBytes(writer.buffer, writer.at, record)
      writer.commit(record.length)
    },
    settle,
    stop: async () => {},
  }
}

/** The ring with its reader on another thread: `io: 'thread'`. @returns {Passage} */
function threadPassage() {
  const there = createRingMemory(ringBytes, true)
  const back = createRingMemory(1024, true)
  const writer = new RingWriter(there)
  const reader = new RingReader(back)
  const thread = new Worker(new URL('./ringThread.js', import.meta.url), {
    workerData: { there, back, runs, typeAt, types, answerBytes },
  })
  const pause = new Int32Array(new SharedArrayBuffer(4))
  const send = (/** @type {Buffer} */ record) => {
    const lastMs = nowMs() + answerMs
    while (!writer.reserve(0, record.length)) {
      if (nowMs() > lastMs) throw new Error('the other thread reads nothing')
      Atomics.wait(pause, 0, 0, sliceMs)
    }
    copyBytes(writer.buffer, writer.at, record)
    writer.commit(record.length)
  }
  /** Sends what is answered, and waits for that: then everything before it was read. @param {number} type */
  const exchange = (type) => {
    const question = Buffer.alloc(answerBytes)
    question[typeAt] = type
    send(question)
    const lastMs = nowMs() + answerMs
    while (!reader.next()) {
      if (nowMs() > lastMs) throw new Error('the other thread does not answer')
      reader.block(sliceMs)
    }
    reader.release()
  }
  return {
    send,
    settle: () => exchange(types.question),
    async stop() {
      exchange(types.end)
      await once(thread, 'exit')
    },
  }
}

/** @type {Record<string, () => Passage>} */
const variants = { direct: directPassage, 'ring inline': inlinePassage, 'ring thread': threadPassage }

/**
 * @param {Passage} passage
 * @param {Buffer} record
 * @param {number} records
 */
function stream(passage, record, records) {
  const startedMs = nowMs()
  const before = process.cpuUsage()
  for (let index = 0; index < records; index++) passage.send(record)
  passage.settle()
  const { user, system } = process.cpuUsage(before)
  return { rate: (records / (nowMs() - startedMs)) * 1000, cpuUs: (user + system) / records }
}

/** @param {import('../harness/types.js').RoleContext} context */
async function ringRole({ variant, parameters: { scale = 1 } }) {
  const passage = variants[variant]?.()
  if (passage === undefined) throw new Error(`there is no variant ${variant}`)
  return {
    async run() {
      const streams = sizes.map(({ name, bytes, records }) => {
        const record = Buffer.alloc(bytes)
        // The first tenth runs in unoptimized code.
        stream(passage, record, Math.ceil((records * scale) / 10))
        return { name, ...stream(passage, record, Math.ceil(records * scale)) }
      })
      const roundTripsUs = []
      const lastMs = nowMs() + roundsMs
      for (let round = 0; round < rounds * scale && nowMs() < lastMs; round++) {
        const startedMs = nowMs()
        passage.send(Buffer.alloc(answerBytes))
        passage.settle()
        roundTripsUs.push((nowMs() - startedMs) * 1000)
      }
      return {
        streams,
        p50Us: percentile(
          roundTripsUs.toSorted((a, b) => a - b),
          0.5,
        ),
      }
    },
    stop: passage.stop,
  }
}

/** @type {import('../harness/types.js').Workload} */
export const workload = {
  name: 'ring',
  title: 'records through the ring, against a copy and a call (CPU and round trip: a lower ratio is better)',
  variants: Object.keys(variants),
  phases: ['run'],
  parameters: (scale) => ({ scale }),
  roles: { ring: ringRole },
  objects: () => 1,
  measure({ results }) {
    const { streams = [], p50Us } = results.run?.ring ?? {}
    /** @type {import('../harness/types.js').Metric[]} */
    const metrics = []
    for (const { name, rate, cpuUs } of streams) {
      metrics.push({ name: `${name} records/s`, unit: '', value: rate, better: 'higher' })
      metrics.push({ name: `${name} CPU`, unit: 'us', value: cpuUs, better: 'lower' })
    }
    metrics.push({ name: 'round trip', unit: 'us', value: p50Us, better: 'lower' })
    return metrics
  },
}
