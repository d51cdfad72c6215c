import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createPortPair } from './portPair.ts'
import { RecordPort } from './recordPort.ts'
import { createRingMemory, RingReader, RingWriter } from './ring.ts'
import type { Waker } from './waker.ts'

interface Received {
  readonly endpoint: number
  readonly text: string
}

function setUp() {
  const received: Received[] = []
  let hold = false
  const ports = createPortPair(
    { record: () => undefined },
    {
      record: (endpoint, buffer, start, end) =>
        received.push({ endpoint, text: `${end - start} ${buffer[end - 1] ?? ''}` }),
    },
  )
  // A reader that is busy: it is woken, and does not come.
  const { onWake } = ports.io.waker
  ports.io.waker.onWake = () => {
    if (!hold) onWake()
  }
  return {
    ...ports,
    received,
    setHold: (held: boolean) => {
      hold = held
    },
  }
}

function write(port: RecordPort, endpoint: number, bytes: number): string {
  const record = Buffer.alloc(bytes, endpoint)
  record.writeUInt32LE(bytes)
  record[4] = 0x80
  port.write(endpoint, record, 0, record.length)
  record.fill(0xee)
  return `${bytes} ${endpoint & 0xff}`
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('A record port', () => {
  it('passes records on in order, and copies them', async () => {
    const { program, received } = setUp()
    const expected = [1, 2, 3].map((endpoint) => ({ endpoint, text: write(program, endpoint, 10 * endpoint) }))
    await turn()
    expect(received).toEqual(expected)
  })

  it('keeps what a full ring cannot take, in order, and says so to the other side', async () => {
    const { program, io, received, setHold } = setUp()
    setHold(true)
    const expected = Array.from({ length: 200 }, (_, endpoint) => ({
      endpoint,
      text: write(program, endpoint, 20_000),
    }))
    expect(io.peerSpills).toBe(true)
    expect(program.reserve(1, 5)).toBe(false)
    setHold(false)
    for (let round = 0; round < 50; round++) {
      io.drain()
      await turn()
    }
    expect(received).toEqual(expected)
    expect(io.peerSpills).toBe(false)
    expect(program.reserve(1, 5)).toBe(true)
  })

  it('lets the I/O on the same thread read at once what fills the ring', () => {
    const { program, io, received } = setUp()
    const expected = Array.from({ length: 200 }, (_, endpoint) => ({
      endpoint,
      text: write(program, endpoint, 20_000),
    }))
    expect(program.spills).toBe(false)
    io.drain()
    expect(received).toEqual(expected)
  })

  it('never lets the program run in the middle of its I/O', () => {
    let received = 0
    const { io } = createPortPair({ record: () => received++ }, { record: () => undefined })
    for (let index = 0; index < 200; index++) write(io, 1, 20_000)
    expect(received).toBe(0)
    expect(io.spills).toBe(true)
  })

  it('keeps a long spill queue in linear time, also when it never runs empty', async () => {
    const { program, io, received, setHold } = setUp()
    setHold(true)
    let written = 0
    const beganMs = performance.now()
    for (let round = 0; round < 100; round++) {
      for (let index = 0; index < 1_000; index++) {
        write(program, written++, 40)
      }
      // The reader takes some, but never all until the end.
      if (round % 10 === 9) io.drain()
      await turn()
    }
    setHold(false)
    for (let round = 0; round < 100 && received.length < written; round++) {
      io.drain()
      await turn()
    }
    expect(received.map(({ endpoint }) => endpoint)).toEqual(Array.from({ length: written }, (_, index) => index))
    expect(performance.now() - beganMs).toBeLessThan(5_000)
  })

  it('takes records while it hands one over', async () => {
    const order: number[] = []
    const { program } = createPortPair(
      { record: () => undefined },
      {
        record: (endpoint) => {
          order.push(endpoint)
          if (endpoint < 5) write(program, endpoint + 1, 8)
        },
      },
    )
    write(program, 1, 8)
    await turn()
    expect(order).toEqual([1, 2, 3, 4, 5])
  })

  it('lets other work of its thread in between very many records', async () => {
    const { program, io, received, setHold } = setUp()
    setHold(true)
    for (let index = 0; index < 20_000; index++) write(program, index, 8)
    io.drain()
    expect(received.length).toBeLessThan(20_000)
    setHold(false)
    for (let round = 0; round < 10; round++) await turn()
    expect(received).toHaveLength(20_000)
  })

  it('waits a moment for a reader on another thread that is behind, but not twice for one that does not move', () => {
    const [there, back] = [createRingMemory(262_144, true), createRingMemory(4_096, true)]
    const waker: Waker = {
      wake: () => undefined,
      sendAttachment: () => undefined,
      takeAttachment: () => [],
      onWake: () => undefined,
    }
    const port = new RecordPort(new RingWriter(there), new RingReader(back), waker, { record: () => undefined })
    const reader = new RingReader(there)
    let reads = 0
    // What the other thread does while this one is blocked.
    const blocked = vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      for (let left = reads; left > 0 && reader.next(); left--) reader.release()
      return 'timed-out'
    })
    onTestFinished(() => blocked.mockRestore())
    port.letReaderCatchUp()
    expect(blocked).toHaveBeenCalledTimes(0)
    for (let record = 0; record < 30; record++) write(port, 1, 20_000)
    const { waitingBytes } = port
    port.letReaderCatchUp()
    port.letReaderCatchUp()
    expect(blocked).toHaveBeenCalledTimes(1)
    expect(port.waitingBytes).toBe(waitingBytes)
    reader.next()
    reader.release()
    reads = 10
    for (let turn = 0; turn < 4; turn++) port.letReaderCatchUp()
    expect(port.spills).toBe(false)
    const calls = blocked.mock.calls.length
    expect(calls).toBeGreaterThan(1)
    port.letReaderCatchUp()
    expect(blocked).toHaveBeenCalledTimes(calls)
  })

  it('refuses a record that never fits, instead of keeping it for ever', () => {
    const { program } = setUp()
    expect(() => write(program, 1, 600_000)).toThrow('does not fit')
  })

  it('tells who waits for the next ring', async () => {
    const { program, io } = setUp()
    const woken = io.nextWake()
    write(program, 1, 8)
    await woken
  })

  it('passes memory on under a number', () => {
    const { program, io } = setUp()
    const memory = new ArrayBuffer(8)
    program.waker.sendAttachment(7, [memory])
    expect(io.waker.takeAttachment(7)).toEqual([memory])
    expect(io.waker.takeAttachment(7)).toEqual([])
  })
})
