// The other thread of the ring's workload: it reads all records, and echoes those of a ping-pong.
import { workerData } from 'node:worker_threads'
import { RingReader, RingWriter } from '../../dist/background/ring.js'

const sliceMs = 100
const reader = new RingReader(workerData.there)
const writer = new RingWriter(workerData.back)
let isEnding = false

while (!isEnding) {
  if (!reader.next()) {
    reader.release()
    reader.block(sliceMs)
    continue
  }
  const first = reader.buffer[reader.start]
  // 0 is passed over, 1 comes back, 2 is the end.
  isEnding = first === 2
  if (first === 0) continue
  reader.release()
  if (writer.reserve(8)) writer.commit(0, 8)
}
