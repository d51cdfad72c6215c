// The other thread of the ring's workload: it reads all records, and answers those of a ping-pong.
import { workerData } from 'node:worker_threads'
import { RingReader, RingWriter } from '../../dist/endpoint/threads/ring.js'

const sliceMs = 100
const { there, back, runs, typeAt, types, answerBytes } = workerData
const reader = new RingReader(there, runs)
const writer = new RingWriter(back)
let isEnding = false

while (!isEnding) {
  if (!reader.next()) {
    reader.release()
    reader.block(sliceMs)
    continue
  }
  const type = reader.buffer[reader.start + typeAt]
  isEnding = type === types.end
  if (type === types.data) continue
  reader.release()
  if (writer.reserve(0, answerBytes)) writer.commit(answerBytes)
}
