import { beforeAll, describe, expect, it } from 'vitest'
import {
  objectFrame,
  ProgramEnd,
  RawEndpoint,
  RawRelay,
  RelayWorld,
  type SeenFrame,
  settle,
  sharedAuthenticator,
  type WorldOptions,
} from '../../test/support/relayWorld.ts'
import { FakeClock } from '../clock.fixture.ts'
import { createError, type ErrorCode } from '../errors.ts'
import { openStore } from '../store/memoryStore.ts'
import { createMemoryLink } from '../transport/memoryTransport.ts'
import { encodeNotify, readJson, readRejected } from '../wire/controlFrames.ts'
import { type ErrorFrame, errorCodesOfFrames } from '../wire/errorCodes.ts'
import { FrameType } from '../wire/frameTypes.ts'

/** What was sent in each frame, by all that is done below. */
const sent: Readonly<Record<ErrorFrame, Set<unknown>>> = { REFUSED: new Set(), CLOSE: new Set(), REJECTED: new Set() }

function collect(frames: readonly SeenFrame[]): void {
  for (const { type, bytes } of frames) {
    if (type === FrameType.REJECTED) sent.REJECTED.add(readRejected(bytes, 0, bytes.length).error.code)
    else if (type === FrameType.REFUSED) sent.REFUSED.add(codeOf(bytes))
    else if (type === FrameType.CLOSE) sent.CLOSE.add(codeOf(bytes))
  }
}

function codeOf(frame: Buffer): unknown {
  const { error } = readJson(frame, 0, frame.length)
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}

/** Says HELLO, as often as there are fields, each on a link of its own; gives the last one that speaks. */
async function join(world: RelayWorld, ...hellos: Record<string, unknown>[]): Promise<RawEndpoint> {
  let last: RawEndpoint | undefined
  for (const [index, fields] of hellos.entries()) {
    last = new RawEndpoint(world.link().near)
    last.begin()
    await world.settle()
    last.hello({ session: `${index}`.padEnd(22, 'x'), ...fields })
    await world.settle()
    collect(last.frames)
  }
  if (last === undefined) throw new Error('Nobody said HELLO')
  return last
}

async function sendOf(options: WorldOptions, ...frames: Buffer[]): Promise<void> {
  const world = await RelayWorld.create(options)
  const endpoint = await join(world, { groups: [] })
  endpoint.transport.write(Buffer.concat(frames))
  await world.settle()
  collect(endpoint.frames)
}

const storeThatSays = (code: ErrorCode) =>
  Object.assign(openStore(), { refusal: () => createError(code, 'There is no room.') })

async function refuseAll(): Promise<void> {
  await join(await RelayWorld.create(), { version: 2 }, { groups: 1 }, { groups: ['\n'] })
  await join(await RelayWorld.create({ acceptedGroups: { g: { maxCount: 1 } } }), {}, {}, { groups: ['h'] })
  await join(await RelayWorld.create({ limits: { groupsMax: 1 } }), { groups: ['g', 'h'] })
  await join(await RelayWorld.create({ limits: { endpointsMax: 1 } }), {}, {})
}

async function rejectAll(): Promise<void> {
  const [one, two] = [objectFrame('produce', 'g', 0, 'one'), objectFrame('produce', 'g', 1, 'two')]
  await sendOf({ acceptedGroups: {} }, one)
  await sendOf({}, objectFrame('produce', 'g.dead', 0, 'one'))
  await sendOf({ limits: { groupsMax: 1 } }, one, objectFrame('produce', 'h', 1, 'two'))
  await sendOf({ acceptedGroups: { g: { maxConsumables: 1, overflow: 'reject' } } }, one, two)
  await sendOf({ limits: { objectBytesMax: 20 } }, one)
  await sendOf({ store: storeThatSays('STORE_FULL') }, one)
  await sendOf({ store: storeThatSays('STORE_FAILED') }, one)
}

async function closeAll(): Promise<void> {
  await sendOf({}, encodeNotify('g', 1))
  await sendOf({}, Buffer.of(5, 0, 0, 0, 0x7f))
  const world = await RelayWorld.create()
  const endpoint = await join(world, {})
  endpoint.transport.write(encodeNotify('g', 0))
  await world.settle()
  collect(endpoint.frames)
}

/** A relay that is being stopped, and waits for an endpoint that confirms nothing. */
async function stopRelay(): Promise<void> {
  const world = await RelayWorld.create()
  const endpoint = await join(world, {})
  const late = new RawEndpoint(world.link().near)
  late.begin()
  await world.settle()
  endpoint.transport.write(Buffer.concat([encodeNotify('g', 1), objectFrame('produce', 'g', 0, 'one')]))
  await world.settle()
  const stopped = world.server.stop(1_000)
  late.hello({ session: 'late'.padEnd(22, 'x') })
  endpoint.transport.write(objectFrame('produce', 'g', 1, 'two'))
  for (let step = 0; step < 20; step++) await world.advance(100)
  await stopped
  collect([...endpoint.frames, ...late.frames])
}

async function stopEndpoint(): Promise<void> {
  const clock = new FakeClock()
  const { near, far } = createMemoryLink({ schedule: (run) => clock.soon(run) })
  const relay = new RawRelay(far, await sharedAuthenticator())
  const endpoint = new ProgramEnd(clock, async () => near, {})
  await settle(clock)
  endpoint.stop(0)
  await settle(clock)
  collect(relay.frames)
}

describe('The codes of errors that travel', () => {
  beforeAll(async () => {
    for (const act of [refuseAll, rejectAll, closeAll, stopRelay, stopEndpoint]) await act()
  })

  it.each(['REFUSED', 'REJECTED', 'CLOSE'] as const)('are all that PROTOCOL.md lists: %s', (frame) => {
    expect([...sent[frame]].sort()).toEqual([...errorCodesOfFrames[frame]].sort())
  })
})
