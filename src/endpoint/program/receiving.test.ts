import type { StandardSchemaV1 } from '@standard-schema/spec'
import { expect, test, vi } from 'vitest'
import { failureOf, openEndpoint } from './scriptedEndpoint.fixture.ts'
import { settled } from './scriptedIo.fixture.ts'

/** A Standard Schema that lets even numbers pass and doubles them; with `later` asynchronously. */
function even(later: boolean): StandardSchemaV1 {
  const check = (value: unknown): StandardSchemaV1.Result<unknown> =>
    typeof value === 'number' && value % 2 === 0 ? { value: value * 2 } : { issues: [{ message: 'is odd' }] }
  return {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) => (later ? Promise.resolve().then(() => check(value)) : check(value)),
    },
  }
}

test('pops the oldest, acknowledges it, and tells how many bytes have left the inbox', async () => {
  const { endpoint, io } = openEndpoint()
  const bytes = [1, 2, 3].map((object) => io.deliver(object))
  expect(await endpoint.pop()).toEqual([1])
  await settled()
  expect(io.leases).toEqual(['acknowledge 0-0 of 1'])
  expect(io.taken).toEqual([bytes[0]])
  expect(await endpoint.pop({ maxItems: 5 })).toEqual([2, 3])
  expect(await endpoint.pop()).toEqual([])
  await settled()
  expect(io.leases).toEqual(['acknowledge 0-0 of 1', 'acknowledge 1-2 of 1'])
  expect(io.taken).toEqual([bytes[0], bytes.reduce((sum, count) => sum + count)])
})

test('skips the extensions of an object, however long they are', async () => {
  const { endpoint, io } = openEndpoint()
  const extension = (bytes: number) => [{ type: 9, value: Buffer.alloc(bytes, 0xee) }]
  io.deliverRun([1, 2, 3, 4, 5], { extensions: [[], extension(0), extension(300), [], extension(8_188)] })
  io.deliver({ a: new Float64Array(1_000) }, { extensions: [extension(7)] })
  io.deliverLarge({ a: new Float64Array(20_000) }, { extensions: [[...extension(1), ...extension(2)]] })
  expect(await endpoint.pop({ maxItems: 10 })).toEqual([
    1,
    2,
    3,
    4,
    5,
    { a: new Float64Array(1_000) },
    { a: new Float64Array(20_000) },
  ])
  await settled()
  expect(io.leases).toEqual(['acknowledge 0-6 of 1'])
})

test('counts leases of produced objects only, and acknowledges runs of them in one record', async () => {
  const { endpoint, io } = openEndpoint()
  io.deliver('a')
  io.deliver('b', { kind: 'broadcast' })
  io.deliver('c')
  io.leaseNumber(5)
  io.deliver('d')
  expect(await endpoint.retrieveAll()).toEqual(['a', 'b', 'c', 'd'])
  await settled()
  expect(io.leases).toEqual(['acknowledge 0-1 of 1', 'acknowledge 5-5 of 1'])
  expect(io.taken.length).toBe(1)
})

test('takes what came in a row one by one, and gives back what is left of it', async () => {
  const { endpoint, io } = openEndpoint()
  const bytes = io.deliverRun([1, 2, 3, 4, 5])
  expect(await endpoint.pop({ maxItems: 2 })).toEqual([1, 2])
  await settled()
  expect(io.leases).toEqual(['acknowledge 0-1 of 1'])
  expect(endpoint.stats().inbox.objects).toBe(3)
  expect(endpoint.stats().received).toMatchObject({ objects: 5, bytes })
  await endpoint.stop()
  expect(io.leases).toEqual(['acknowledge 0-1 of 1', 'release 2-4 of 1'])
  expect(io.taken.at(-1)).toBe(bytes)
})

test('tells groups, kinds and sizes apart in what came in a row', async () => {
  const { endpoint, io } = openEndpoint()
  io.deliverRun([1, 2])
  io.deliverRun(['h'], { group: 'h' })
  io.deliverRun(['b'], { kind: 'broadcast' })
  io.deliverRun([{ a: new Float64Array(1_000) }, 3])
  io.deliverRun([4], { skipped: 2, kind: 'broadcast' })
  io.deliverRun([5], { kind: 'broadcast' })
  const seen: unknown[] = []
  for await (const { object, group, kind, skipped } of endpoint.deliveries()) {
    seen.push([object, group, kind, skipped])
    if (seen.length === 8) break
  }
  expect(seen).toEqual([
    [1, 'g', 'produce', 0],
    [2, 'g', 'produce', 0],
    ['h', 'h', 'produce', 0],
    ['b', 'g', 'broadcast', 0],
    [{ a: new Float64Array(1_000) }, 'g', 'produce', 0],
    [3, 'g', 'produce', 0],
    [4, 'g', 'broadcast', 2],
    [5, 'g', 'broadcast', 0],
  ])
  await settled()
  expect(io.leases).toEqual([0, 1, 2, 3, 4].map((lease) => `acknowledge ${lease}-${lease} of 1`))
})

test('gives an array memory of its own', async () => {
  const { endpoint, io } = openEndpoint()
  const bytes = io.deliver({ a: new Float32Array(2_000).fill(1), b: 'x' })
  expect(endpoint.stats().inbox.bytes).toBe(0)
  const [object] = await endpoint.pop()
  expect(object).toEqual({ a: new Float32Array(2_000).fill(1), b: 'x' })
  expect(object).toMatchObject({ a: { byteOffset: 0, buffer: { byteLength: 8_000 } } })
  await settled()
  expect(io.taken).toEqual([bytes])
})

test('gets the newest, oldest of them first, and counts the others as taken', async () => {
  const { endpoint, io } = openEndpoint()
  const bytes = [1, 2, 3, 4].map((object) => io.deliver(object))
  expect(await endpoint.getLast({ maxItems: 2 })).toEqual([3, 4])
  await settled()
  expect(io.leases).toEqual(['acknowledge 0-3 of 1'])
  expect(io.taken).toEqual([bytes.reduce((sum, count) => sum + count)])
  expect(endpoint.stats().inbox).toEqual({ objects: 0, bytes: 0 })
})

test('receives a large object in parts', async () => {
  const { endpoint, io } = openEndpoint()
  const bytes = io.deliverLarge({ weights: new Float64Array(5_000).fill(2) })
  expect(await endpoint.pop()).toEqual([{ weights: new Float64Array(5_000).fill(2) }])
  await settled()
  expect(io.taken).toEqual([bytes])
})

test.each([
  [{ maxItems: 0 }],
  [{ maxItems: -1 }],
  [{ maxItems: 1.5 }],
  [{ maxItems: '1' }],
  [{ maxItem: 1 }],
  [{ blocking: 1 }],
  [{ blocking: true, timeoutMs: -1 }],
  [{ blocking: true, timeoutMs: Number.NaN }],
  [{ signal: {} }],
  [null],
])('refuses to pop with %j, and takes nothing', async (options) => {
  const { endpoint, io } = openEndpoint()
  io.deliver(1)
  expect(await failureOf(endpoint.pop(options as never))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(() => endpoint.popSync(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  expect(await endpoint.pop()).toEqual([1])
})

test('blocks until there is an object, first come first served, with all that came together', async () => {
  const { endpoint, io } = openEndpoint()
  const first = endpoint.pop({ blocking: true })
  const second = endpoint.retrieveAll({ blocking: true })
  await settled()
  for (const object of [1, 2, 3]) io.deliver(object)
  expect(await first).toEqual([1])
  expect(await second).toEqual([2, 3])
})

test('ends blocking at the timeout with nothing, or at the signal with its reason', async () => {
  const { endpoint, io } = openEndpoint()
  const { signal } = new AbortController()
  expect(await endpoint.pop({ blocking: true, timeoutMs: 5, signal })).toEqual([])
  const controller = new AbortController()
  const waiting = failureOf(endpoint.pop({ blocking: true, signal: controller.signal }))
  await settled()
  controller.abort('enough')
  expect(await waiting).toBe('enough')
  expect(await failureOf(endpoint.pop({ signal: controller.signal }))).toBe('enough')
  io.deliver(1)
  expect(await endpoint.pop({ blocking: true })).toEqual([1])
})

test('reports what cannot be decoded, gives it back with the attempt counted and the reason, and asks for another one', async () => {
  const { endpoint, io, errors } = openEndpoint()
  io.deliverBody(Buffer.from([9, 9, 9]))
  io.deliver('good')
  expect(await endpoint.pop({ blocking: true })).toEqual(['good'])
  expect(errors).toMatchObject([{ code: 'NOT_DESERIALIZABLE', details: { group: 'g', attempt: 1 } }])
  await settled()
  expect(io.leases).toEqual(['release counted 0-0 of 1', 'acknowledge 1-1 of 1'])
  expect(io.releases).toMatchObject([{ failure: { reason: 'undecodable', error: { code: 'NOT_DESERIALIZABLE' } } }])
  expect(io.asked).toEqual(['g 1'])
  expect(endpoint.stats().received.unreadable).toBe(1)
})

test.each([false, true])(
  'hands over what the schema makes of an object, and no object that fails it (asynchronous: %s)',
  async (later) => {
    const { endpoint, io, errors } = openEndpoint({ schemas: { g: even(later) } })
    const waiting = endpoint.pop({ blocking: true })
    await settled()
    for (const object of [1, 2, 3, 4]) io.deliver(object)
    expect(await waiting).toEqual([4])
    expect(await endpoint.retrieveAll()).toEqual([8])
    expect(errors).toMatchObject([
      { code: 'SCHEMA_MISMATCH', details: { group: 'g' } },
      { code: 'SCHEMA_MISMATCH', details: { group: 'g' } },
    ])
    await settled()
    const acknowledged = io.leases.filter((line) => line.startsWith('acknowledge'))
    expect(acknowledged).toEqual(['acknowledge 1-1 of 1', 'acknowledge 3-3 of 1'])
    expect(io.releases.map(({ failure }) => failure?.reason)).toEqual(['schema', 'schema'])
  },
)

test('refuses an asynchronous schema in the Sync forms and keeps the objects', async () => {
  const { endpoint, io } = openEndpoint({ schemas: { g: even(true) } })
  io.deliver('other', { group: 'h' })
  io.deliver(2)
  expect(() => endpoint.retrieveAllSync()).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  expect(endpoint.popSync()).toEqual(['other'])
  expect(await endpoint.retrieveAll()).toEqual([4])
})

test("keeps only the latest undelivered broadcast of each group with broadcasts: 'latest'", async () => {
  const { endpoint, io } = openEndpoint({ broadcasts: 'latest' })
  const bytes = io.deliver('w1', { kind: 'broadcast' })
  io.deliver('work')
  io.deliver('h1', { kind: 'broadcast', group: 'h' })
  io.deliver('w2', { kind: 'broadcast', skipped: 3 })
  io.deliver('w3', { kind: 'broadcast', skipped: 1 })
  await settled()
  expect(io.taken.at(-1)).toBe(bytes * 2)
  expect(endpoint.stats().inbox.objects).toBe(3)
  const seen: unknown[] = []
  for await (const { object, group, kind, skipped } of endpoint.deliveries()) {
    seen.push([object, group, kind, skipped])
    if (seen.length === 3) break
  }
  expect(seen).toEqual([
    ['work', 'g', 'produce', 0],
    ['h1', 'h', 'broadcast', 0],
    ['w3', 'g', 'broadcast', 6],
  ])
  expect(endpoint.stats().received.skipped).toBe(6)
})

test("keeps the last of broadcasts that came in a row with broadcasts: 'latest'", async () => {
  const { endpoint, io } = openEndpoint({ broadcasts: 'latest' })
  const before = io.deliver('w1', { kind: 'broadcast' })
  io.deliverRun(['w2', 'w3', 'w4'], { kind: 'broadcast' })
  await settled()
  expect(io.taken.at(-1)).toBe(3 * before)
  const { value } = await endpoint.deliveries().next()
  expect(value).toMatchObject({ object: 'w4', skipped: 3 })
  expect(endpoint.stats()).toMatchObject({ inbox: { objects: 0, bytes: 0 }, received: { objects: 4, skipped: 3 } })
})

test('tells through which of its destinations an object came', async () => {
  const { endpoint, io } = openEndpoint()
  io.deliver(1, { groups: ['x', 'h'], groupIndex: 1, attempt: 3 })
  io.deliver(2, { isDead: true, attempt: 6 })
  const { value: first } = await endpoint.deliveries().next()
  expect(first).toMatchObject({ group: 'h', attempt: 3, sentAt: new Date(1_700_000_000_000) })
  const { value: second } = await endpoint.deliveries().next()
  expect(second).toMatchObject({ group: 'g.dead', attempt: 6 })
})

test('acknowledges an iterated object when the next one is asked for, or when the loop is left', async () => {
  const { endpoint, io } = openEndpoint()
  for (const object of [1, 2, 3]) io.deliver(object)
  for await (const object of endpoint) {
    await settled()
    if (object === 1) expect(io.leases).toEqual([])
    if (object === 2) {
      expect(io.leases).toEqual(['acknowledge 0-0 of 1'])
      break
    }
  }
  await settled()
  expect(io.leases).toEqual(['acknowledge 0-0 of 1', 'acknowledge 1-1 of 1'])
  const iterator = endpoint[Symbol.asyncIterator]()
  await iterator.next()
  await failureOf(iterator.throw(new Error('broken')))
  await settled()
  expect(io.leases.at(-1)).toBe('release counted 2-2 of 1')
  expect(io.releases).toMatchObject([{ failure: { reason: 'failed', error: { message: 'broken' } } }])
})

test('asks for no other object in the place of one that cannot be read where all that waits was asked for', async () => {
  const { endpoint, io } = openEndpoint()
  await endpoint.notify({ g: -1 })
  io.deliverBody(Buffer.from([9]))
  io.deliver(1)
  expect(await endpoint.retrieveAll()).toEqual([1])
  await settled()
  expect(io.asked).toEqual(['g -1'])
})

test('leaves out a broadcast that cannot be read, with an event and nothing else', async () => {
  const { endpoint, io, errors } = openEndpoint()
  io.deliverBody(Buffer.from([9]), { kind: 'broadcast' })
  io.deliver(1, { kind: 'broadcast' })
  expect(await endpoint.pop({ blocking: true })).toEqual([1])
  await settled()
  expect(errors).toMatchObject([{ code: 'NOT_DESERIALIZABLE', details: { kind: 'broadcast' } }])
  expect([io.leases, io.asked]).toEqual([[], []])
})

test.each([false, true])('getLast gives the newest that can be read (schema asynchronous: %s)', async (later) => {
  const { endpoint, io } = openEndpoint({ schemas: { g: even(later) } })
  for (const object of [2, 4, 6, 7, 9]) io.deliver(object)
  expect(await endpoint.getLast({ maxItems: 2 })).toEqual([8, 12])
  await settled()
  const { leases } = io
  expect(leases.filter((line) => line.startsWith('release counted')).sort()).toEqual([
    'release counted 3-3 of 1',
    'release counted 4-4 of 1',
  ])
  const acknowledged = leases.filter((line) => line.startsWith('acknowledge')).join(' ')
  expect(acknowledged).toMatch(/0-2|0-0.*1-2/)
})

test('puts back what getLastSync took where a schema needs time, in its old order', async () => {
  const { endpoint, io } = openEndpoint({ schemas: { g: even(true) } })
  io.deliver('a', { group: 'h' })
  io.deliver(2)
  io.deliver('b', { group: 'h' })
  io.deliver(4)
  expect(() => endpoint.getLastSync({ maxItems: 3 })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  expect(endpoint.stats().inbox.objects).toBe(4)
  expect(await endpoint.retrieveAll()).toEqual(['a', 4, 'b', 8])
})

test('settles a delivery once: the first of ack and release counts', async () => {
  const { endpoint, io } = openEndpoint()
  for (const object of [1, 2, 3]) io.deliver(object)
  io.deliver(4, { kind: 'broadcast' })
  for await (const { object, ack, release } of endpoint.deliveries()) {
    if (object === 1) release()
    if (object === 2) ack()
    ack()
    release()
    if (object === 4) break
  }
  await settled()
  expect(io.leases).toEqual(['release 0-0 of 1', 'acknowledge 1-1 of 1', 'acknowledge 2-2 of 1'])
})

test('ends the iterators when it is stopped', async () => {
  const { endpoint, io } = openEndpoint()
  const loop = (async () => {
    const seen: unknown[] = []
    for await (const object of endpoint) seen.push(object)
    return seen
  })()
  io.deliver(1)
  await settled()
  await endpoint.stop()
  expect(await loop).toEqual([1])
})

test('takes without awaiting in the Sync forms, and sees all that has arrived', () => {
  const { endpoint, io } = openEndpoint()
  for (let object = 0; object < 12_000; object++) io.deliver(object)
  const objects = [...endpoint.popSync({ maxItems: 2 }), ...endpoint.retrieveAllSync()]
  // More than the ring holds waits at the I/O, which runs on this same thread.
  expect(objects.length).toBeGreaterThan(10_000)
  expect(objects.every((object, at) => object === at)).toBe(true)
  expect(endpoint.getLastSync()).toEqual([])
})

test('sees all that the I/O holds before it answers, also what the ring has no room for', async () => {
  const { endpoint, io } = openEndpoint()
  for (let object = 0; object < 50_000; object++) io.deliver(object)
  expect(await endpoint.getLast()).toEqual([49_999])
})

test('blocks the thread in slices until something comes or the time is over', () => {
  const { endpoint, io } = openEndpoint()
  expect(() => endpoint.popSync({ blocking: true })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  io.canBlock = true
  const slices: number[] = []
  io.port.blockAndDrain = (timeoutMs) => {
    slices.push(timeoutMs)
    if (slices.length === 3) io.deliver('late')
    io.port.drain()
  }
  expect(endpoint.popSync({ blocking: true })).toEqual(['late'])
  expect(slices).toEqual([100, 100, 100])
  expect(endpoint.popSync({ blocking: true, timeoutMs: 3 })).toEqual([])
})

test('counts leases anew in a new session, and says what the old one may have cost', async () => {
  const { endpoint, io } = openEndpoint()
  const lost = vi.fn()
  endpoint.on('sessionLost', lost)
  io.deliver('old')
  io.state({ state: 'reconnecting', error: { code: 'LINK_LOST', message: 'gone' } })
  io.connected(2)
  io.deliver('new')
  expect(await endpoint.retrieveAll()).toEqual(['old', 'new'])
  await settled()
  expect(io.leases).toEqual(['acknowledge 0-0 of 1', 'acknowledge 0-0 of 2'])
  expect(lost).toHaveBeenCalledExactlyOnceWith({
    error: expect.objectContaining({ code: 'SESSION_LOST' }),
    unacknowledged: 1,
  })
})

test('drops what the same relay has given back meanwhile, and asks for as much again', async () => {
  const { endpoint, io } = openEndpoint()
  io.deliver('a broadcast', { kind: 'broadcast' })
  io.deliver('lent')
  io.deliver('lent too')
  io.state({ state: 'reconnecting', error: { code: 'LINK_LOST', message: 'gone' } })
  io.connected(2, { sameRelay: true })
  await settled()
  expect(io.asked).toEqual(['g 2'])
  io.deliver('lent', { attempt: 2 })
  expect(await endpoint.retrieveAll()).toEqual(['a broadcast', 'lent'])
  await settled()
  expect(io.leases).toEqual(['acknowledge 0-0 of 2'])
  expect(endpoint.stats().inbox).toEqual({ objects: 0, bytes: 0 })
})

test('goes on reading after a record that makes no sense', async () => {
  const { endpoint, io, errors } = openEndpoint()
  io.write(Buffer.from([12, 0, 0, 0, 0x38, 0, 0, 0, 0, 0, 0, 0]))
  io.deliver(1)
  expect(await endpoint.pop()).toEqual([1])
  expect(errors).toMatchObject([{ code: 'PROTOCOL_VIOLATION' }])
})
