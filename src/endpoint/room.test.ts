import { expect, test } from 'vitest'
import { RestartedRelay } from './restartedRelay.fixture.ts'

const large = { weights: new Float64Array(20_000).fill(2) }
const small = { inboxBytesMax: 100_000, objectBytesMax: 200_000 }

test('an endpoint gives room anew for a broadcast that it drops because it had it before', async () => {
  const broadcast = { kind: 'broadcast' } as const
  const world = await RestartedRelay.open({}, { limits: small })
  await world.deliverLarge(large, 0, true, broadcast)
  expect(await world.endpoint.pop()).toEqual([large])
  await world.restart()
  await world.deliverLarge(large, 0, true, broadcast)
  await world.deliverLarge(large, 1, true, broadcast)
  expect(await world.endpoint.retrieveAll()).toEqual([large])
  expect(world.errors).toEqual([])
})

test('an endpoint gives room anew for an object that it refuses because it is too large', async () => {
  const world = await RestartedRelay.open({}, { limits: { ...small, objectBytesMax: 100_000 } })
  await world.deliverLarge(large, 0, true)
  await world.deliver('what comes next', 1)
  expect(await world.told()).toEqual(['release counted 0 to 0'])
  expect(await world.endpoint.retrieveAll()).toEqual(['what comes next'])
  expect(world.errors).toMatchObject([{ code: 'OBJECT_TOO_LARGE' }])
})
