import { expect, test } from 'vitest'
import { objectFrame, RawEndpoint, RelayWorld } from '../../test/support/relayWorld.ts'
import { encodeAcknowledge, encodeNotify, encodeText, readAccepted, readJson } from '../wire/controlFrames.ts'
import { withExtensionBytes, withExtensions } from '../wire/extensions.fixture.ts'
import { FrameType } from '../wire/frameTypes.ts'
import {
  encodeRoute,
  encodeStreamBegin,
  parseRoute,
  readSequence,
  readSource,
  stampAttempt,
  stampSource,
} from '../wire/objectHeader.ts'

async function join(world: RelayWorld, session: string, groups: readonly string[]): Promise<RawEndpoint> {
  const endpoint = new RawEndpoint(world.link().near)
  endpoint.begin()
  await world.settle()
  endpoint.hello({ groups, session: session.padEnd(22, '_') })
  await world.settle()
  endpoint.frames.length = 0
  return endpoint
}

function objects(from: number, to: number, group = 'g'): Buffer[] {
  return Array.from({ length: to - from + 1 }, (_, index) =>
    objectFrame('produce', group, from + index, `${from + index}`),
  )
}

/** What came: the range of an acceptance, the sequence of an object, the message of a goodbye. */
function seen({ frames }: RawEndpoint): unknown[] {
  return frames.splice(0).flatMap(({ type, bytes }): unknown[] => {
    if (type === FrameType.ACCEPTED) {
      const { from, to } = readAccepted(bytes, 0, bytes.length)
      return [`accepted ${from} to ${to}`]
    }
    if (type === FrameType.OBJECT) {
      const { groups } = parseRoute(bytes, 0, bytes.length, () => true)
      return [`${groups.join(' ')} ${readSequence(bytes, 0)} ${bytes.subarray(-`${readSequence(bytes, 0)}`.length)}`]
    }
    return type === FrameType.CLOSE ? [readJson(bytes, 0, bytes.length)] : []
  })
}

test('takes what came in a row for several groups, and gives each its own in order', async () => {
  const world = await RelayWorld.create()
  const consumer = await join(world, 'consumer', ['g', 'h'])
  consumer.transport.write(Buffer.concat([encodeNotify('g', 7), encodeNotify('h', 5)]))
  const producer = await join(world, 'producer', [])
  producer.transport.write(
    Buffer.concat([...objects(0, 3), ...objects(4, 5, 'h'), ...objects(6, 9), ...objects(11, 11)]),
  )
  await world.settle()
  expect(seen(producer)).toEqual(['accepted 0 to 9', 'accepted 11 to 11'])
  expect(seen(consumer)).toEqual(['g 0 0', 'g 1 1', 'g 2 2', 'g 3 3', 'h 4 4', 'h 5 5', 'g 6 6', 'g 7 7', 'g 8 8'])
  consumer.transport.write(Buffer.concat([encodeAcknowledge(2, 3), encodeNotify('g', 9), encodeAcknowledge(0, 1)]))
  await world.settle()
  expect(seen(consumer)).toEqual(['g 9 9', 'g 11 11'])
})

test('takes a run however it is split on its way, and the relay forgets it when its parts were acknowledged', async () => {
  const world = await RelayWorld.create()
  const consumer = await join(world, 'consumer', ['g'])
  const producer = await join(world, 'producer', [])
  const bytes = Buffer.concat(objects(0, 999))
  for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 7) % 997) {
    producer.transport.write(bytes.subarray(at, at + step))
    await world.settle()
  }
  consumer.transport.write(encodeNotify('g', 1_000))
  await world.settle()
  expect(seen(consumer)).toEqual(Array.from({ length: 1_000 }, (_, index) => `g ${index} ${index}`))
  for (let from = 0; from < 1_000; from += 40) consumer.transport.write(encodeAcknowledge(from, from + 39))
  await world.settle()
  expect(world.server.stats()).toMatchObject({ keptBytes: 0 })
})

test('passes extensions on as they came, in a run and in a large object', async () => {
  const world = await RelayWorld.create()
  const consumer = await join(world, 'consumer', ['g'])
  consumer.transport.write(encodeNotify('g', 9))
  const producer = await join(world, 'producer', [])
  const unknown = (sequence: number) => ({ type: 0x7fff, value: Buffer.alloc(sequence * 100, sequence) })
  const sent = objects(0, 3).map((frame, sequence) =>
    sequence === 0 ? frame : withExtensions(frame, unknown(sequence), unknown(0)),
  )
  const route = encodeRoute({ kind: 'produce', groups: ['g'], copies: [1] })
  const large = withExtensions(encodeStreamBegin(route, 4, 0, 1, 100_000), unknown(4))
  producer.transport.write(Buffer.concat([...sent, large]))
  await world.settle()
  const delivered = consumer.frames.filter(({ type }) => type === FrameType.OBJECT || type === FrameType.STREAM_BEGIN)
  for (const frame of [...sent, large]) {
    stampAttempt(frame, 0, 1)
    stampSource(frame, 0, readSource(delivered[0]?.bytes ?? frame, 0))
  }
  expect(delivered.map(({ bytes }) => bytes.toString('hex'))).toEqual(
    [...sent, large].map((frame) => frame.toString('hex')),
  )
})

test('refuses extensions that are not whole, in the first object of a route and in later ones', async () => {
  for (const bad of ['0000', '0300010000', '04000100ffff', 'ffff01000000']) {
    const world = await RelayWorld.create()
    const producer = await join(world, 'producer', [])
    const [good = Buffer.alloc(0), last = good] = objects(0, 1)
    const extended = withExtensions(good, { type: 1, value: Buffer.of(1) })
    producer.transport.write(Buffer.concat([extended, withExtensionBytes(last, Buffer.from(bad, 'hex'))]))
    await world.settle()
    expect(seen(producer)).toMatchObject([{ error: { code: 'PROTOCOL_VIOLATION' } }])
  }
})

test('takes what came right before a goodbye', async () => {
  const world = await RelayWorld.create()
  const producer = await join(world, 'producer', [])
  producer.transport.write(Buffer.concat([...objects(0, 4), encodeText(FrameType.GOODBYE, '')]))
  await world.settle()
  expect(seen(producer)).toEqual(['accepted 0 to 4'])
})

test('keeps what came before the mistake that ends a link', async () => {
  const world = await RelayWorld.create()
  const producer = await join(world, 'producer', [])
  producer.transport.write(Buffer.concat([...objects(0, 4), Buffer.from([0, 0, 0, 0, FrameType.NOTIFY])]))
  await world.settle()
  expect(seen(producer)).toMatchObject([{ error: { code: 'PROTOCOL_VIOLATION' } }])
  const consumer = await join(world, 'consumer', ['g'])
  consumer.transport.write(encodeNotify('g', 9))
  await world.settle()
  expect(seen(consumer)).toHaveLength(5)
})

test('tells a peer whose objects no group can take that this was its mistake, and goes on for others', async () => {
  const world = await RelayWorld.create({ limits: { groupsPerEndpointMax: 1 } })
  const producer = await join(world, 'producer', [])
  const consumer = await join(world, 'consumer', ['g'])
  producer.transport.write(Buffer.concat([...objects(0, 1), objectForTwo(2)]))
  await world.settle()
  expect(seen(producer)).toMatchObject([{ error: { code: 'PROTOCOL_VIOLATION' } }])
  consumer.transport.write(encodeNotify('g', 9))
  await world.settle()
  expect(seen(consumer)).toEqual(['g 0 0', 'g 1 1'])
})

function objectForTwo(sequence: number): Buffer {
  const [one, two] = [objectFrame('produce', 'g', sequence, ''), objectFrame('produce', 'h', sequence, '2')]
  const frame = Buffer.concat([one, two.subarray(24)])
  frame.writeUInt32LE(frame.length)
  frame[7] = 2
  return frame
}
