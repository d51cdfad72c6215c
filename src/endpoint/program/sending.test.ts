import { expect, test, vi } from 'vitest'
import { ObjectRelayError } from '../../errors.ts'
import { registerType } from '../../objects/typeRegistry.ts'
import { failureOf, openEndpoint } from './scriptedEndpoint.fixture.ts'
import { settled } from './scriptedIo.fixture.ts'

const large = () => new Float32Array(100_000).fill(0.5)

test('sends objects in the order of the calls, numbered from 0, to where they are for', async () => {
  const { endpoint, io } = openEndpoint()
  void endpoint.produce({ id: 1 }, 'g')
  void endpoint.broadcast('two', ['g', 'h'])
  void endpoint.sendObject(3, { g: 3, h: 1 })
  await settled()
  expect(
    io.sent.map(({ sequence, route, object }) => [sequence, route.kind, route.groups, route.copies, object]),
  ).toEqual([
    [0, 'produce', ['g'], [1], { id: 1 }],
    [1, 'broadcast', ['g', 'h'], [1, 1], 'two'],
    [2, 'produce', ['g', 'h'], [3, 1], 3],
  ])
})

test('resolves each promise with the members of its groups when the relay has accepted a run', async () => {
  const { endpoint, io } = openEndpoint()
  const sent = [endpoint.produce(1, 'g'), endpoint.produce(2, 'g'), endpoint.produce(3, 'h')]
  io.accept(0, 1, [2])
  io.accept(2, 2, [0])
  const receipts = await Promise.all(sent)
  expect(receipts).toEqual([{ members: { g: 2 } }, { members: { g: 2 } }, { members: { h: 0 } }])
  expect(receipts[0]).toBe(receipts[1])
  expect(endpoint.stats().sent).toEqual({ objects: 3, accepted: 3, rejected: 0, superseded: 0 })
})

test('keeps a group named __proto__ as a group like any other', async () => {
  const { endpoint, io } = openEndpoint()
  const sent = endpoint.sendObject(1, { ['__proto__']: 2 })
  io.accept(0, 0, [4])
  expect(Object.entries((await sent).members)).toEqual([['__proto__', 4]])
  expect(io.sent[0]?.route.groups).toEqual(['__proto__'])
})

test('sends a mixed destination as a broadcast and as copies, and merges the receipts', async () => {
  const { endpoint, io } = openEndpoint()
  const sent = endpoint.sendObject('x', { g: -1, h: 2, k: 0 })
  await settled()
  expect(io.sent.map(({ route }) => [route.kind, route.groups, route.copies])).toEqual([
    ['broadcast', ['g'], [1]],
    ['produce', ['h'], [2]],
  ])
  io.accept(0, 0, [5])
  io.accept(1, 1, [6])
  expect(await sent).toEqual({ members: { g: 5, h: 6 } })
})

test('sends nothing when every count is 0', async () => {
  const { endpoint, io } = openEndpoint()
  expect(await endpoint.sendObject('x', { g: 0, h: 0 })).toEqual({ members: {} })
  await settled()
  expect(io.sent).toEqual([])
})

test.each([
  ['an empty list', []],
  ['an empty object', {}],
  ['a number', 5],
  ['null', null],
  ['a count that is not whole', { g: 1.5 }],
  ['a count below -1', { g: -2 }],
  ['a count beyond the bound', { g: 1_000_001 }],
  ['a count that is text', { g: '1' }],
  ['a group twice', ['g', 'g']],
  ['an empty name', ''],
  ['a name that is no string', [1]],
  ['a name that is too long', 'n'.repeat(129)],
  ['a name with a control character', 'a\nb'],
  ['half a character', '\ud800'],
])('refuses %s as a destination, by a rejection and an event and nothing else', async (_what, destination) => {
  const { endpoint, io, errors } = openEndpoint()
  // A program without types can call it so.
  const failure = await failureOf(endpoint.sendObject('x', destination as never))
  expect(failure).toMatchObject({ code: 'INVALID_ARGUMENT', details: { argument: expect.any(String) } })
  expect(errors).toEqual([failure])
  await settled()
  expect(io.sent).toEqual([])
})

test('names the path of what cannot be sent, and goes on with the next object', async () => {
  const { endpoint, io, errors } = openEndpoint()
  const failure = await failureOf(endpoint.produce({ policy: { activation: () => 1 } }, 'g'))
  expect(failure).toMatchObject({ code: 'NOT_SERIALIZABLE', details: { path: 'object.policy.activation' } })
  expect(errors).toEqual([failure])
  void endpoint.produce('next', 'g')
  await settled()
  expect(io.sent.map(({ sequence, object }) => [sequence, object])).toEqual([[0, 'next']])
})

test('never ends the program over a send that nobody awaits', async () => {
  const { endpoint, io, errors } = openEndpoint()
  const unhandled = vi.fn()
  process.on('unhandledRejection', unhandled)
  void endpoint.produce(() => 1, 'g')
  void endpoint.produce(1, [])
  void endpoint.sendObject(1, { g: -1, h: 1 })
  void endpoint.produce(2, 'g')
  void endpoint.pop({ maxItems: 0 })
  io.reject(0, { code: 'QUEUE_FULL', message: 'full', details: { group: 'g' } })
  io.reject(1, { code: 'QUEUE_FULL', message: 'full' })
  io.reject(2, { code: 'QUEUE_FULL', message: 'full' })
  await settled()
  await settled()
  process.off('unhandledRejection', unhandled)
  expect(unhandled).not.toHaveBeenCalled()
  expect(errors.map((error) => error instanceof ObjectRelayError && error.code)).toEqual([
    'NOT_SERIALIZABLE',
    'INVALID_ARGUMENT',
    'QUEUE_FULL',
    'QUEUE_FULL',
    'QUEUE_FULL',
  ])
})

test('takes an object as it is at the call, small and large', async () => {
  const { endpoint, io } = openEndpoint()
  const small = { n: 1 }
  const weights = large()
  void endpoint.produce(small, 'g')
  void endpoint.produce({ weights }, 'g')
  small.n = 2
  weights.fill(9)
  await settled()
  expect(io.sent.map(({ object }) => object)).toEqual([{ n: 1 }, { weights: large() }])
})

test('gives large arrays away with transfer, and only then', async () => {
  const { endpoint, io } = openEndpoint()
  const kept = large()
  const given = large()
  const part = new Float32Array(given.buffer, 0, 2_000)
  void endpoint.produce({ kept }, 'g')
  void endpoint.produce({ part, given, again: given.subarray(0) }, 'g', { transfer: true })
  expect([kept.length, given.length, part.length]).toEqual([100_000, 0, 0])
  await settled()
  expect(io.sent[1]?.object).toEqual({ part: large().subarray(0, 2_000), given: large(), again: large() })
})

test('waits with what exceeds sendBytesMax, in order, and sends it as room appears', async () => {
  const { endpoint, io } = openEndpoint({ limits: { sendBytesMax: 2_000 } })
  const sent = [1, 2, 3, 4, 5].map((id) => endpoint.produce({ id, padding: 'x'.repeat(700) }, 'g'))
  await settled()
  expect(io.sent.length).toBe(2)
  expect(endpoint.stats().sending).toMatchObject({ objects: 5, waitingObjects: 3 })
  io.accept(0, 0)
  await sent[0]
  await settled()
  expect(io.sent.length).toBe(3)
  io.reject(1, { code: 'QUEUE_FULL', message: 'full' })
  io.accept(2, 2)
  await settled()
  io.accept(3, 4)
  await Promise.all(sent.slice(2))
  expect(io.sent.map(({ sequence, object }) => [sequence, (object as { id: number }).id])).toEqual(
    [0, 1, 2, 3, 4].map((sequence) => [sequence, sequence + 1]),
  )
  expect(endpoint.stats().sending).toEqual({ objects: 0, bytes: 0, waitingObjects: 0, waitingBytes: 0 })
})

test('always has room for one object, however large, and lets a large one wait for its turn', async () => {
  const { endpoint, io } = openEndpoint({ limits: { sendBytesMax: 1_000, sendWaitingBytesMax: 1_000 } })
  const first = endpoint.produce(large(), 'g')
  const second = endpoint.produce(large(), 'h')
  await settled()
  expect(io.sent.length).toBe(1)
  io.accept(0, 0)
  await first
  await settled()
  expect(io.sent[1]?.object).toEqual(large())
  io.accept(1, 1)
  await second
})

test('rejects what exceeds sendWaitingBytesMax with SEND_ROOM_FULL, and keeps the order of the others', async () => {
  const { endpoint, io, errors } = openEndpoint({ limits: { sendBytesMax: 1_000, sendWaitingBytesMax: 1_000 } })
  const sent = [1, 2, 3].map((id) => endpoint.produce({ id, padding: 'x'.repeat(700) }, 'g'))
  expect(await failureOf(sent[2] ?? Promise.resolve())).toMatchObject({ code: 'SEND_ROOM_FULL', retryable: true })
  expect(errors).toHaveLength(1)
  io.accept(0, 0)
  await sent[0]
  const late = endpoint.produce({ id: 4 }, 'g')
  await settled()
  io.accept(1, 2)
  await Promise.all([sent[1], late])
  expect(io.sent.map(({ object }) => (object as { id: number }).id)).toEqual([1, 2, 4])
})

test('refuses what is larger than the relay takes before it is sent', async () => {
  const { endpoint, io } = openEndpoint()
  io.state({ state: 'connected', relayLimits: { objectBytesMax: 1_000 } })
  await settled()
  for (const object of ['x'.repeat(1_000), large()]) {
    const failure = await failureOf(endpoint.produce(object, 'g'))
    expect(failure).toMatchObject({ code: 'OBJECT_TOO_LARGE', details: { objectBytesMax: 1_000 } })
  }
  await settled()
  expect(io.sent).toEqual([])
})

test('refuses to send from within the encoding of another object, and loses neither order nor what else is written', async () => {
  const { endpoint, io, errors } = openEndpoint()
  const object = {
    get nested() {
      void endpoint.produce('inner', 'g')
      void endpoint.notify('g')
      return 1
    },
  }
  void endpoint.produce(object, 'g')
  void endpoint.produce('after', 'g')
  await settled()
  expect(io.sent.map((sent) => sent.object)).toEqual([{ nested: 1 }, 'after'])
  expect(io.asked).toEqual(['g 1'])
  expect(errors).toMatchObject([{ code: 'INVALID_ARGUMENT' }])
})

/** Ways to run code of the program while an object is encoded; each gives the object, and how often the code ran. */
const nestings: [name: string, make: (code: () => void, filling: string) => unknown][] = [
  [
    'a getter',
    (code, filling) => ({
      filling,
      get nested() {
        code()
        return 1
      },
    }),
  ],
  [
    'a getter in front of what is large',
    (code, filling) => ({
      get nested() {
        code()
        return 1
      },
      filling,
    }),
  ],
  ['an encode()', (code, filling) => [filling, new Nesting(code)]],
  ['a trap of a Proxy', (code, filling) => new Proxy([filling], { get: (list, key) => nestedGet(list, key, code) })],
]

class Nesting {
  readonly code: () => void
  constructor(code: () => void) {
    this.code = code
  }
}
registerType(Nesting, { name: 'Nesting', encode: ({ code }) => code(), decode: () => new Nesting(() => undefined) })

function nestedGet(list: readonly string[], key: string | symbol, code: () => void): unknown {
  if (key === '0') code()
  return Reflect.get(list, key)
}

test.each(
  nestings.flatMap(([name, make]) =>
    [10, 60_000, 200_000].map((bytes): [string, number, typeof make] => [name, bytes, make]),
  ),
)('refuses a send nested in %s once, with one error, in an object of %i bytes', async (_name, bytes, make) => {
  const { endpoint, io, errors } = openEndpoint()
  const answers: unknown[] = []
  let runs = 0
  const object = make(() => {
    runs++
    endpoint.produce('inner', 'g').catch((thrown: unknown) => answers.push(thrown))
    void endpoint.notify('g')
  }, 'x'.repeat(bytes))
  void endpoint.produce(object, 'g')
  void endpoint.produce('after', 'g')
  await settled()
  await vi.waitFor(() => expect(io.sent.length).toBe(2))
  expect(runs).toBe(1)
  expect(answers).toMatchObject([{ code: 'INVALID_ARGUMENT' }])
  expect(errors).toEqual(answers)
  expect(io.sent.map(({ sequence }) => sequence)).toEqual([0, 1])
  expect(io.sent[1]?.object).toBe('after')
  expect(io.asked).toEqual(['g 1'])
})

test.each([10, 60_000, 200_000])(
  'calls a serializer once for an object of %i bytes, and refuses what it sends',
  async (bytes) => {
    let runs = 0
    const errors: unknown[] = []
    const { endpoint, io } = openEndpoint({
      serializer: {
        serialize: (object) => {
          runs++
          endpoint.produce('inner', 'g').catch((thrown: unknown) => errors.push(thrown))
          return Buffer.from(String(object))
        },
        deserialize: (serialized) => Buffer.from(serialized).toString(),
      },
    })
    void endpoint.produce('x'.repeat(bytes), 'g')
    await settled()
    await vi.waitFor(() => expect(io.sent.length).toBe(1))
    expect(runs).toBe(1)
    expect(errors).toMatchObject([{ code: 'INVALID_ARGUMENT' }])
  },
)

test("refuses what exceeds the relay's objectBytesMax before it looks at the rest", async () => {
  const { endpoint, io } = openEndpoint()
  io.state({ state: 'connected', relayLimits: { objectBytesMax: 1_000 } })
  await settled()
  let looked = false
  const object = {
    filling: ['x'.repeat(1_000)],
    get after() {
      looked = true
      return 1
    },
  }
  expect(await failureOf(endpoint.produce(object, 'g'))).toMatchObject({ code: 'OBJECT_TOO_LARGE' })
  expect(looked).toBe(false)
})

test('sends more than the ring to the I/O holds', async () => {
  const { endpoint, io } = openEndpoint()
  for (let id = 0; id < 40_000; id++) void endpoint.produce({ id }, 'g')
  await vi.waitFor(() => expect(io.sent.length).toBe(40_000))
  expect(io.sent.every(({ sequence, object }, at) => sequence === at && (object as { id: number }).id === at)).toBe(
    true,
  )
})

test('asks for objects of its own groups only', async () => {
  const { endpoint, io, errors } = openEndpoint()
  await endpoint.notify('g')
  await endpoint.notify(['g', 'h'])
  await endpoint.notify({ g: 5, h: -1 })
  await settled()
  expect(io.asked).toEqual(['g 1', 'g 1', 'h 1', 'g 5', 'h -1'])
  expect(await failureOf(endpoint.notify({ g: 1, other: 1 }))).toMatchObject({
    code: 'NOT_A_MEMBER',
    details: { group: 'other' },
  })
  for (const request of [[], {}, 3, { g: 0 }, { g: 1.5 }, { g: -2 }, { g: 1_000_001 }, ['g', 'g'], '']) {
    expect(await failureOf(endpoint.notify(request as never))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  }
  await settled()
  expect(io.asked.length).toBe(5)
  expect(errors.length).toBe(10)
})
