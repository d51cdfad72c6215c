import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { createRingMemory, RingReader, RingWriter } from '../../src/endpoint/threads/ring.ts'

// What was built: a thread of its own runs JavaScript only.
const built = pathToFileURL('dist/endpoint/threads/ring.js').href

/** Sends every record back, its bytes turned round, and blocks in between. */
const echo = `
const { workerData } = require('node:worker_threads')
import(workerData.built).then(({ RingReader, RingWriter }) => {
  const reader = new RingReader(workerData.there)
  const writer = new RingWriter(workerData.back)
  for (let left = workerData.records; left > 0; ) {
    if (!reader.next()) {
      reader.block(1000)
      continue
    }
    const bytes = reader.end - reader.start
    while (!writer.reserve(reader.endpoint, bytes));
    for (let index = 4; index < bytes; index++) writer.buffer[writer.at + index] = 255 - reader.buffer[reader.start + index]
    reader.release()
    writer.commit(bytes)
    left--
  }
})
`

it('gets every record through a thread and back, whole and in order', async () => {
  const records = 20_000
  const there = createRingMemory(16_384, true)
  const back = createRingMemory(16_384, true)
  const worker = new Worker(echo, { eval: true, execArgv: [], workerData: { built, there, back, records } })
  const ended = new Promise<number>((resolve, reject) => {
    worker.once('error', reject)
    worker.once('exit', resolve)
  })
  const writer = new RingWriter(there)
  const reader = new RingReader(back)
  const bytesOf = (index: number) => 5 + ((index * 37) % 700)
  let sent = 0
  let received = 0
  while (received < records) {
    while (sent < records && writer.reserve(sent, bytesOf(sent))) {
      writer.buffer.fill(sent, writer.at, writer.at + bytesOf(sent))
      writer.commit(bytesOf(sent))
      sent++
    }
    if (!reader.next()) {
      await Promise.race([new Promise((resolve) => setImmediate(resolve)), ended])
      continue
    }
    const expected = Buffer.alloc(bytesOf(received) - 4, 255 - (received & 0xff))
    expect(reader.endpoint).toBe(received)
    expect(reader.end - reader.start).toBe(bytesOf(received))
    expect(expected.equals(reader.buffer.subarray(reader.start + 4, reader.end))).toBe(true)
    reader.release()
    received++
  }
  expect(await ended).toBe(0)
})
