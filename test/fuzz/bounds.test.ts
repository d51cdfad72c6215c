import { describe, expect, it } from 'vitest'
import { createError, toPlainError } from '../../src/errors.ts'
import { encodeConfirm, encodeText } from '../../src/wire/controlFrames.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'
import { RawEndpoint, RelayWorld } from '../support/relayWorld.ts'

async function joined(world: RelayWorld): Promise<RawEndpoint> {
  const raw = new RawEndpoint(world.link().near)
  raw.begin()
  await world.settle()
  raw.hello()
  await world.settle()
  return raw
}

describe('What fuzzing has found', () => {
  it('an endpoint that said goodbye does not keep a connection that nobody counts', async () => {
    const world = await RelayWorld.create()
    const raw = await joined(world)
    raw.transport.write(encodeText(FrameType.GOODBYE, ''))
    await world.settle()
    for (let seconds = 0; seconds < 12 && !raw.closed; seconds++) {
      raw.transport.write(encodeConfirm(1, 1_000_000))
      await world.advance(1_000)
    }
    expect(raw.types()).toContain(FrameType.GOODBYE)
    expect(raw.closed).toBe(true)
  })

  it('nor does it keep a connection when the relay is stopped', async () => {
    const world = await RelayWorld.create()
    const raw = await joined(world)
    raw.transport.write(encodeText(FrameType.GOODBYE, ''))
    await world.settle()
    await world.server.stop(0)
    await world.settle()
    expect(raw.closed).toBe(true)
    expect(world.clock.timers).toBeLessThan(2)
  })

  it('an error quotes so little of what a peer sent that it fits into a frame', () => {
    const long = '\u0001'.repeat(60_000)
    const plain = toPlainError(createError('NOT_A_MEMBER', `No ${long}`, { details: { group: long }, cause: long }))
    expect(Buffer.byteLength(JSON.stringify(plain))).toBeLessThan(40_000)
    expect(plain.message).toMatch(/^No .*…$/s)
  })
})
