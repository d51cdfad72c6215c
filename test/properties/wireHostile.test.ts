import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../src/clock.fixture.ts'
import { isErrorCode } from '../../src/errors.ts'
import { createMemoryLink } from '../../src/transport/memoryTransport.ts'
import {
  encodeAccepted,
  encodeAcknowledge,
  encodeChunkHead,
  encodeConfirm,
  encodeContext,
  encodeDemand,
  encodeJson,
  encodeNotify,
  encodeRejected,
  encodeRelease,
  encodeSeen,
  encodeStreamOffset,
  encodeText,
  readJson,
} from '../../src/wire/controlFrames.ts'
import { withExtensions } from '../../src/wire/extensions.fixture.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'
import { encodeRoute, encodeStreamBegin } from '../../src/wire/objectHeader.ts'
import {
  objectFrame,
  ProgramEnd,
  RawEndpoint,
  RawRelay,
  RelayWorld,
  settle,
  sharedAuthenticator,
} from '../support/relayWorld.ts'

/** So much may be written to somebody who sends nonsense. */
const ANSWER_BYTES_MAX = 200_000

const routes = ['g', 'h', 'g.dead'].map((group) => encodeRoute({ kind: 'produce', groups: [group], copies: [1] }))
const small = fc.integer({ min: 0, max: 4 })
const size = fc.oneof(small, fc.integer({ min: 0, max: 200_000 }), fc.constant(Number.MAX_SAFE_INTEGER))
const group = fc.constantFrom('g', 'h', 'g.dead', '')
const kind = fc.constantFrom('produce' as const, 'broadcast' as const)

/** Frames that are well formed, with numbers that may be right or wrong at that moment. */
const validFrame: fc.Arbitrary<Buffer> = fc.oneof(
  fc.tuple(size, size).map(([frames, bytes]) => encodeConfirm(frames, bytes)),
  fc.tuple(kind, group.filter(Boolean), small).map(([k, g, sequence]) => objectFrame(k, g, sequence, 'body')),
  fc
    .tuple(kind, small, fc.integer({ min: 0, max: 0xffff }), fc.uint8Array({ maxLength: 40 }))
    .map(([k, sequence, type, value]) => withExtensions(objectFrame(k, 'g', sequence, 'body'), { type, value })),
  fc.tuple(fc.nat(2), small, small, size).map(([route, sequence, id, bytes]) => {
    const encoded = routes[route] ?? encodeRoute({ kind: 'broadcast', groups: ['g'], copies: [1] })
    return encodeStreamBegin(encoded, sequence, 0, id, bytes)
  }),
  fc.tuple(small, size, fc.integer({ min: 1, max: 500 })).map(([id, offset, bytes]) => {
    return Buffer.concat([encodeChunkHead(id, offset, bytes), Buffer.alloc(bytes, 1)])
  }),
  fc
    .tuple(fc.constantFrom(FrameType.STREAM_WINDOW, FrameType.STREAM_ABORT), small, size)
    .map(([type, id, offset]) => encodeStreamOffset(type, id, offset)),
  fc.tuple(small, small).map(([from, more]) => encodeAcknowledge(from, from + more)),
  fc.tuple(small, small).map(([from, more]) => encodeSeen(from, from + more)),
  fc
    .tuple(small, size, fc.boolean(), fc.option(fc.record({ message: fc.string({ maxLength: 2_000 }) })))
    .map(([from, more, isFinal, error]) =>
      encodeRelease(from, Math.max(from, more), {
        attemptCounted: true,
        isFinal,
        failure: error === null ? undefined : { reason: 'failed', error },
      }),
    ),
  fc.tuple(small, size).map(([from, to]) => encodeAccepted(from, Math.max(from, to), [1])),
  small.map((sequence) => encodeRejected(sequence, { code: 'QUEUE_FULL', message: 'full' })),
  fc.tuple(group, fc.constantFrom(-1, 0, 1, 5, 0x7fff_ffff)).map(([name, count]) => encodeNotify(name, count)),
  fc.tuple(group, fc.constantFrom(-1, 0, 3)).map(([name, count]) => encodeDemand(name, count)),
  fc.tuple(small, size, fc.boolean()).map(([index, skipped, dead]) => encodeContext(index, skipped, dead)),
  fc
    .tuple(fc.constantFrom(FrameType.BLOCKED, FrameType.UNBLOCKED, FrameType.GOODBYE), group)
    .map(([type, name]) => encodeText(type, name)),
  fc
    .tuple(fc.constantFrom(FrameType.HELLO, FrameType.WELCOME, FrameType.CLOSE, FrameType.REFUSED), fc.jsonValue())
    .map(([type, value]) => encodeJson(type, value)),
)

const mutatedFrame = fc
  .tuple(validFrame, fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.nat(3))
  .map(([frame, changes, cut]) => {
    const mutated = Buffer.from(frame)
    for (const [at, value] of changes) if (at < mutated.length) mutated[at] = value
    return cut === 0 ? mutated.subarray(0, Math.floor(mutated.length / 2)) : mutated
  })

const nonsense = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: validFrame },
    { weight: 3, arbitrary: mutatedFrame },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
  ),
  { minLength: 1, maxLength: 15 },
)

/** Brings a hostile endpoint as far as it gets by the rules. */
const relayStates: Record<string, (world: RelayWorld, raw: RawEndpoint) => Promise<void>> = {
  'before it said anything': async () => undefined,
  'in the middle of the proof': async (_, raw) => raw.begin(),
  'before HELLO': async (world, raw) => {
    raw.begin()
    await world.settle()
  },
  'as a member': async (world, raw) => {
    raw.begin()
    await world.settle()
    raw.hello()
    raw.transport.write(Buffer.concat([encodeNotify('g', 3), encodeConfirm(0, 1_000_000)]))
    await world.settle()
  },
  'with objects on lease and a large one under way': async (world, raw) => {
    raw.begin()
    await world.settle()
    raw.hello()
    const begin = encodeStreamBegin(encodeRoute({ kind: 'produce', groups: ['h'], copies: [1] }), 1, 0, 1, 100_000)
    const bytes = [encodeNotify('g', 3), objectFrame('produce', 'g', 0, 'one'), begin]
    raw.transport.write(Buffer.concat(bytes))
    await world.settle()
  },
}

describe('Hostile bytes', () => {
  it.each(Object.entries(relayStates))('%s harm neither the relay nor anybody else', async (state, reach) => {
    const world = await RelayWorld.create()
    const neighbour = world.open({ groups: ['n'] })
    await world.settle()
    await fc.assert(
      fc.asyncProperty(nonsense, async (pieces) => {
        const link = world.link()
        const raw = new RawEndpoint(link.near)
        await reach(world, raw)
        let answered = 0
        const { onData } = raw.transport
        raw.transport.onData = (bytes) => {
          answered += bytes.length
          onData(bytes)
        }
        const before = raw.frames.length
        for (const piece of pieces) raw.transport.write(piece)
        await world.settle()
        expect(answered).toBeLessThan(ANSWER_BYTES_MAX)
        expect(link.far.pendingBytes).toBe(0)
        const end = raw.frames.slice(before).find(({ type }) => type === FrameType.CLOSE || type === FrameType.REFUSED)
        if (end !== undefined) expect(isErrorCode(codeOf(end.bytes))).toBe(true)
        if (state.startsWith('before it') || state.startsWith('in the')) expect(raw.frames).toEqual([])
        raw.transport.destroy()
        await world.settle()

        const sequence = neighbour.send('produce', 'n', 'work')
        neighbour.notify('n', 1)
        await world.settle()
        expect(neighbour.sequences.at(-1)).toBe(sequence)
      }),
      { numRuns: 40 },
    )
    await world.advance(60_000)
    expect(world.server.stats().endpoints).toMatchObject({ connected: 1, away: 0 })
  })

  it('from a relay end the endpoint with a typed error, or nothing', async () => {
    const authenticator = await sharedAuthenticator()
    await fc.assert(
      fc.asyncProperty(fc.boolean(), nonsense, async (welcomed, pieces) => {
        const clock = new FakeClock()
        const relays: RawRelay[] = []
        const endpoint = new ProgramEnd(
          clock,
          async () => {
            const link = createMemoryLink({ schedule: (run) => clock.soon(run) })
            relays.push(new RawRelay(link.far, authenticator))
            return link.near
          },
          { groups: ['g'] },
        )
        endpoint.send('produce', 'g', 'one')
        endpoint.notify('g', 2)
        await settle(clock)
        const relay = relays[0]
        if (relay === undefined) throw new Error('The endpoint did not connect.')
        if (welcomed) relay.transport.write(relay.welcome())
        for (const piece of pieces) relay.transport.write(piece)
        await settle(clock)
        for (const { error } of endpoint.states) if (error !== undefined) expect(isErrorCode(error.code)).toBe(true)
        if (endpoint.state?.state === 'connected') {
          relay.transport.destroy()
          await settle(clock)
          expect(endpoint.state?.state).toBe('reconnecting')
        }
        endpoint.stop(10)
        clock.advance(20)
        await settle(clock)
      }),
      { numRuns: 60 },
    )
  })
})

function codeOf(frame: Buffer): unknown {
  const { error } = readJson(frame, 0, frame.length)
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
