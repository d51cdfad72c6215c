import { expect, test } from 'vitest'
import { encodeContext } from '../../wire/controlFrames.ts'
import { openEndpoint } from './scriptedEndpoint.fixture.ts'

test.each([
  ['every', [{ group: 'g', count: 3, code: 'OBJECTS_DROPPED' }]],
  ['latest', []],
] as const)(
  'tells of broadcasts that were dropped before one, unless only the latest is wanted (%s)',
  async (broadcasts, told) => {
    const { endpoint, io } = openEndpoint({ broadcasts })
    const heard: unknown[] = []
    endpoint.on('objectsDropped', ({ group, count, error: { code } }) => heard.push({ group, count, code }))
    io.write(encodeContext(0, 3, false))
    io.deliver('a', { kind: 'broadcast' })
    expect(await endpoint.pop()).toEqual(['a'])
    expect(heard).toEqual(told)
    expect(endpoint.stats().received.skipped).toBe(3)
    expect(endpoint.stats().ring).toEqual({ waitingBytes: 0 })
  },
)
