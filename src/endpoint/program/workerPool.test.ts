import { expect, test } from 'vitest'
import { openEndpoint } from './scriptedEndpoint.fixture.ts'
import { settled } from './scriptedIo.fixture.ts'

/** A handler whose runs end when the test says so. */
function heldHandler() {
  const runs: { object: unknown; end: () => void; fail: (reason: unknown) => void }[] = []
  const handler = (object: unknown) =>
    new Promise<void>((end, fail) => {
      runs.push({ object, end, fail })
    })
  return { runs, handler }
}

test('asks for as many objects as handlers may run, and for one more whenever one is done', async () => {
  const { endpoint, io } = openEndpoint()
  const { runs, handler } = heldHandler()
  endpoint.work('g', handler, { concurrency: 2 })
  io.deliver(1)
  io.deliver(2)
  await settled()
  expect(io.asked).toEqual(['g 2'])
  expect(runs.map(({ object }) => object)).toEqual([1, 2])
  runs[1]?.end()
  await settled()
  expect(io.leases).toEqual(['acknowledge 1-1 of 1'])
  expect(io.asked).toEqual(['g 2', 'g 1'])
})

test('hands out what came in a row one by one, as handlers are free', async () => {
  const { endpoint, io } = openEndpoint()
  const seen: unknown[] = []
  const done: (() => void)[] = []
  const work = endpoint.work('g', (object) => {
    seen.push(object)
    return new Promise<void>((resolve) => done.push(resolve))
  })
  io.deliverRun([1, 2, 3])
  await settled()
  expect(seen).toEqual([1])
  done.pop()?.()
  await settled()
  expect(seen).toEqual([1, 2])
  const stopped = work.stop()
  done.pop()?.()
  await stopped
  await settled()
  expect(io.leases).toEqual(['acknowledge 0-0 of 1', 'release 2-2 of 1', 'acknowledge 1-1 of 1'])
})

test('leaves broadcasts, other groups and what was there before in the inbox', async () => {
  const { endpoint, io } = openEndpoint()
  io.deliver('before')
  await settled()
  const worked: unknown[] = []
  endpoint.work('g', (object) => worked.push(object))
  io.deliver('broadcast', { kind: 'broadcast' })
  io.deliver('other', { group: 'h' })
  io.deliver('work')
  await settled()
  expect(worked).toEqual(['work'])
  expect(await endpoint.retrieveAll()).toEqual(['before', 'broadcast', 'other'])
})

test('gives an object back with its attempt counted when its handler throws, reports it, and asks on', async () => {
  const { endpoint, io, errors } = openEndpoint()
  const reason = new Error('no such file')
  endpoint.work('g', () => {
    throw reason
  })
  io.deliver(1)
  await settled()
  expect(io.leases).toEqual(['release counted 0-0 of 1'])
  expect(io.asked).toEqual(['g 1', 'g 1'])
  expect(errors).toMatchObject([{ code: 'HANDLER_FAILED', cause: reason, details: { group: 'g', attempt: 1 } }])
})

test('lets the handler settle the delivery itself', async () => {
  const { endpoint, io, errors } = openEndpoint()
  endpoint.work('g', (object, { ack, release }) => {
    if (object === 1) release()
    else ack()
    throw new Error('afterwards')
  })
  io.deliver(1)
  await settled()
  io.deliver(2)
  await settled()
  expect(io.leases).toEqual(['release 0-0 of 1', 'acknowledge 1-1 of 1'])
  expect(errors.length).toBe(2)
})

test('reports what cannot be decoded and goes on', async () => {
  const { endpoint, io, errors } = openEndpoint()
  const worked: unknown[] = []
  endpoint.work('g', (object) => worked.push(object))
  io.deliverBody(Buffer.from([9]))
  await settled()
  io.deliver(1)
  await settled()
  expect(worked).toEqual([1])
  expect(errors).toMatchObject([{ code: 'NOT_DESERIALIZABLE' }])
  expect(io.asked).toEqual(['g 1', 'g 1', 'g 1'])
})

test('stops asking, waits for what runs, and gives back uncounted what was asked for and comes later', async () => {
  const { endpoint, io } = openEndpoint()
  const { runs, handler } = heldHandler()
  const work = endpoint.work('g', handler, { concurrency: 3 })
  io.deliver(1)
  await settled()
  let stopped = false
  const stopping = work.stop().then(() => {
    stopped = true
  })
  io.deliver(2)
  await settled()
  expect(stopped).toBe(false)
  expect(io.leases).toEqual(['release 1-1 of 1'])
  runs[0]?.end()
  await stopping
  io.deliver(3)
  // The third that was asked for came; from here on what comes was asked for by notify.
  io.deliver(4)
  expect(await endpoint.retrieveAll()).toEqual([4])
  await settled()
  expect(io.leases).toEqual(['release 1-1 of 1', 'acknowledge 0-0 of 1', 'release 2-2 of 1', 'acknowledge 3-3 of 1'])
  expect(io.asked).toEqual(['g 3'])
})

test('shares the objects of a group between two calls, and queues what was asked for beyond them', async () => {
  const { endpoint, io } = openEndpoint()
  const first = heldHandler()
  const second = heldHandler()
  const work = endpoint.work('g', first.handler)
  endpoint.work('g', second.handler)
  for (const object of [1, 2, 3]) io.deliver(object)
  await settled()
  expect([first.runs.length, second.runs.length]).toEqual([1, 1])
  second.runs[0]?.end()
  await settled()
  expect(second.runs.map(({ object }) => object)).toEqual([2, 3])
  expect(io.asked).toEqual(['g 1', 'g 1'])
  const stopping = work.stop()
  first.runs[0]?.end()
  await stopping
  expect(io.asked).toEqual(['g 1', 'g 1'])
})

test('uses what an earlier call still has under way instead of asking twice', async () => {
  const { endpoint, io } = openEndpoint()
  await endpoint.work('g', () => undefined, { concurrency: 2 }).stop()
  endpoint.work('g', () => undefined, { concurrency: 3 })
  await settled()
  expect(io.asked).toEqual(['g 2', 'g 1'])
})

const handler = (): number => 1

test.each([
  ['a group that it is no member of', 'other', handler, {}, 'NOT_A_MEMBER'],
  ['several groups', ['g', 'h'], handler, {}, 'INVALID_ARGUMENT'],
  ['no handler', 'g', undefined, {}, 'INVALID_ARGUMENT'],
  ['a concurrency of 0', 'g', handler, { concurrency: 0 }, 'INVALID_ARGUMENT'],
  ['an unknown option', 'g', handler, { concurency: 2 }, 'INVALID_ARGUMENT'],
])('refuses to work on %s', async (_what, group, given, options, code) => {
  const { endpoint, io } = openEndpoint()
  expect(() => endpoint.work(group as never, given as never, options as never)).toThrow(
    expect.objectContaining({ code }),
  )
  await settled()
  expect(io.asked).toEqual([])
})

test('lets running handlers end and send before the endpoint stops', async () => {
  const { endpoint, io } = openEndpoint()
  const { runs, handler } = heldHandler()
  endpoint.work('g', async (object): Promise<void> => {
    await handler(object)
    void endpoint.produce('result', 'h')
  })
  io.deliver(1)
  await settled()
  const stopping = endpoint.stop()
  runs[0]?.end()
  await settled()
  expect(io.sent.map(({ object }) => object)).toEqual(['result'])
  expect(io.leases).toEqual(['acknowledge 0-0 of 1'])
  expect(await stopping).toEqual({ undelivered: [], deadlineReached: false })
})

test('gives back with the attempt counted what its handlers have not finished at the deadline', async () => {
  const { endpoint, io } = openEndpoint()
  const { runs, handler } = heldHandler()
  endpoint.work('g', handler)
  io.deliver(1)
  await settled()
  await endpoint.stop({ deadlineMs: 20 })
  expect(io.leases).toEqual(['release counted 0-0 of 1'])
  runs[0]?.end()
  await settled()
  expect(io.leases).toHaveLength(1)
})
