import { describe, expect, it, test } from 'vitest'
import { oddThrown } from '../../../test/support/oddThrown.ts'
import { UnrecoverableError } from '../../errors.ts'
import type { Delivery } from './endpointTypes.ts'
import { openEndpoint } from './scriptedEndpoint.fixture.ts'
import { settled } from './scriptedIo.fixture.ts'

/** A promise, and what settles it. */
function gate() {
  let open: () => void = () => undefined
  let fail: (reason: unknown) => void = () => undefined
  const passed = new Promise<void>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  return { passed, open, fail }
}

async function next(deliveries: AsyncGenerator<Delivery>): Promise<Delivery> {
  const { value, done } = await deliveries.next()
  if (done === true) throw new Error('There are no more deliveries.')
  return value
}

describe('what a program is handed', () => {
  it('is known to the I/O before the handler runs, one by one', async () => {
    const { endpoint, io } = openEndpoint()
    const known: string[][] = []
    endpoint.work('g', () => void known.push([...handedNow(io)]), { concurrency: 3 })
    io.deliverRun([1, 2, 3])
    await settled()
    expect(known).toEqual([['0 of 1'], ['0 of 1', '1 of 1'], ['0 of 1', '1 of 1', '2 of 1']])
  })

  it('is known to the I/O before it is given to a loop, and before a schema looks at it', async () => {
    const known: [string, string[]][] = []
    const scripted = openEndpoint({
      schemas: {
        g: {
          '~standard': {
            version: 1,
            vendor: 'test',
            validate: (value: unknown) => {
              known.push(['schema', [...handedNow(scripted.io)]])
              return { value }
            },
          },
        },
      },
    })
    const { endpoint, io } = scripted
    io.deliver(1)
    for await (const object of endpoint) {
      known.push([`loop ${object}`, [...handedNow(io)]])
      break
    }
    expect(known).toEqual([
      ['schema', ['0 of 1']],
      ['loop 1', ['0 of 1']],
    ])
  })

  it('is not told of what pop takes, which is settled at once', async () => {
    const { endpoint, io } = openEndpoint()
    io.deliverRun([1, 2])
    expect(await endpoint.retrieveAll()).toEqual([1, 2])
    await settled()
    expect(io.handed).toEqual([])
    expect(io.leases).toEqual(['acknowledge 0-1 of 1'])
  })

  it('stays in hand for a turn when a loop is left, since the error that ends it may end the program', async () => {
    const { endpoint, io } = openEndpoint()
    io.deliver(1)
    const left = (async () => {
      for await (const object of endpoint) throw new Error(`cannot do ${object}`)
    })()
    await expect(left).rejects.toThrow('cannot do 1')
    expect(io.leases).toEqual([])
    await settled()
    expect(io.leases).toEqual(['acknowledge 0-0 of 1'])
  })
})

/** What the I/O knows by now, in the middle of a program's turn. */
function handedNow(io: ReturnType<typeof openEndpoint>['io']): readonly string[] {
  io.port.waker.wakeNow?.()
  return io.handed
}

describe('a stop', () => {
  it('waits for a loop to come back', async () => {
    const { endpoint, io } = openEndpoint()
    io.deliver(1)
    const working = gate()
    const seen: unknown[] = []
    const loop = (async () => {
      for await (const object of endpoint) {
        seen.push(object)
        await working.passed
      }
    })()
    await settled()
    let isStopped = false
    const stopping = endpoint.stop().then((result) => {
      isStopped = true
      return result
    })
    await settled()
    expect([isStopped, seen, io.leases]).toEqual([false, [1], []])
    working.open()
    await loop
    expect(await stopping).toEqual({ undelivered: [], deadlineReached: false })
    expect(io.leases).toEqual(['acknowledge 0-0 of 1'])
  })

  it('waits for a delivery to be settled, and not for its loop', async () => {
    const { endpoint, io } = openEndpoint()
    io.deliver(1)
    const delivery = await next(endpoint.deliveries())
    const stopping = endpoint.stop()
    await settled()
    expect(io.stopDeadlineMs).toBeUndefined()
    delivery.ack()
    expect((await stopping).deadlineReached).toBe(false)
    expect(io.leases).toEqual(['acknowledge 0-0 of 1'])
  })

  it('does not wait for a loop over broadcasts', async () => {
    const { endpoint, io } = openEndpoint()
    io.deliver('stop', { kind: 'broadcast' })
    for await (const object of endpoint) if (object === 'stop') await endpoint.stop()
    expect(endpoint.stats().state).toBe('stopped')
  })

  it('waits for a schema that checks, and hands over what it was waited for', async () => {
    const checking = gate()
    const validate = async (value: unknown) => {
      await checking.passed
      return { value }
    }
    const { endpoint, io } = openEndpoint({ schemas: { g: { '~standard': { version: 1, vendor: 'test', validate } } } })
    io.deliver(1)
    const taking = endpoint.pop()
    await settled()
    const stopping = endpoint.stop()
    await settled()
    expect(io.leases).toEqual([])
    checking.open()
    expect(await taking).toEqual([1])
    await stopping
    expect(io.leases).toEqual(['acknowledge 0-0 of 1'])
  })

  it('takes away at its deadline what is in hand, with the attempt counted, and tells whoever settles it later', async () => {
    const { endpoint, io, errors } = openEndpoint()
    io.deliver(1)
    io.deliver(2)
    const first = await next(endpoint.deliveries())
    const working = gate()
    endpoint.work('g', () => working.passed)
    io.deliver(3)
    await settled()
    const { deadlineReached } = await endpoint.stop({ deadlineMs: 10 })
    expect(deadlineReached).toBe(true)
    expect(io.leases).toEqual(['release counted 0-0 of 1', 'release counted 2-2 of 1', 'release 1-1 of 1'])
    expect(io.releases[0]).toMatchObject({ failure: { reason: 'released', error: { code: 'LEASE_LOST' } } })
    first.ack()
    first.ack()
    working.open()
    await settled()
    expect(errors).toMatchObject([
      { code: 'LEASE_LOST', details: { group: 'g', attempt: 1 } },
      { code: 'LEASE_LOST', details: { group: 'g', attempt: 1 } },
    ])
    expect(io.leases).toHaveLength(3)
  })

  it('keeps a schema that takes longer from handing over what was taken away', async () => {
    const checking = gate()
    const validate = async (value: unknown) => {
      await checking.passed
      return { value }
    }
    const { endpoint, io, errors } = openEndpoint({
      schemas: { g: { '~standard': { version: 1, vendor: 'test', validate } } },
    })
    io.deliver(1)
    const taking = endpoint.pop()
    await settled()
    await endpoint.stop({ deadlineMs: 10 })
    checking.open()
    expect(await taking).toEqual([])
    expect(io.leases).toEqual(['release counted 0-0 of 1'])
    expect(errors).toEqual([])
  })
})

describe('the signal of a delivery', () => {
  it('is aborted when the endpoint stops; who ends because of it gives the object back, and fails nothing', async () => {
    const { endpoint, io, errors } = openEndpoint()
    endpoint.work('g', (_object, { signal }) => {
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
      })
    })
    io.deliver(1)
    await settled()
    expect((await endpoint.stop()).deadlineReached).toBe(false)
    expect(io.leases).toEqual(['release 0-0 of 1'])
    expect(errors).toEqual([])
  })

  it('is aborted in a loop too, where leaving it gives the object back', async () => {
    const { endpoint, io } = openEndpoint()
    io.deliver(1)
    const loop = (async () => {
      for await (const { signal } of endpoint.deliveries()) {
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
        })
      }
    })()
    await settled()
    const stopping = endpoint.stop()
    await expect(loop).rejects.toMatchObject({ code: 'STOPPED' })
    await stopping
    expect(io.leases).toEqual(['release 0-0 of 1'])
  })

  it('is aborted when the relay has given the object to others, and not when it has forgotten it', async () => {
    const { endpoint, io, errors } = openEndpoint()
    io.deliver(1)
    io.deliver(2)
    const deliveries = endpoint.deliveries()
    const first = await next(deliveries)
    io.connected(2, { sameRelay: false, claims: false, returned: false })
    await settled()
    expect(first.signal.aborted).toBe(false)
    first.ack()
    const forgotten = await next(deliveries)
    forgotten.release()
    await settled()
    expect(errors).toMatchObject([{ code: 'LEASE_LOST' }])
    expect(errors[0]?.message).toContain('lost')
    io.deliver(3)
    const third = await next(deliveries)
    expect([third.object, third.signal.aborted]).toEqual([3, false])
    io.connected(3, { sameRelay: true, claims: false, returned: true })
    await settled()
    expect(third.signal.reason).toMatchObject({ code: 'LEASE_LOST' })
    third.ack()
    expect(third.signal.aborted).toBe(true)
    await settled()
    expect(errors).toHaveLength(2)
    expect(errors[1]?.message).toContain('Another member')
  })

  it('is left alone when the object is settled, when the relay knows the endpoint again, and when leases are claimed', async () => {
    const { endpoint, io } = openEndpoint()
    io.deliver(1)
    io.deliver(2)
    const deliveries = endpoint.deliveries()
    const first = await next(deliveries)
    const second = await next(deliveries)
    const { signal } = second
    io.connected(1, { resumed: true })
    io.connected(2, { sameRelay: true, claims: true })
    await settled()
    expect([first.signal.aborted, signal.aborted]).toEqual([false, false])
    second.ack()
    await endpoint.stop()
    expect([first.signal.aborted, signal.aborted]).toEqual([false, false])
  })

  it('is the same each time, and aborted from the beginning where the endpoint is stopping already', async () => {
    const { endpoint, io } = openEndpoint()
    io.deliver(1)
    const delivery = await next(endpoint.deliveries())
    const stopping = endpoint.stop()
    await settled()
    expect(delivery.signal).toBe(delivery.signal)
    expect(delivery.signal.aborted).toBe(true)
    delivery.release()
    await stopping
  })
})

describe('a handler that throws', () => {
  it.each(Object.entries(oddThrown))('%s: keeps its place, and gives the object back', async (_what, make) => {
    const { endpoint, io, errors } = openEndpoint()
    const seen: unknown[] = []
    endpoint.work('g', async (object) => {
      seen.push(object)
      if (object === 1) throw make()
      if (object === 2) return Promise.reject(make())
      return undefined
    })
    for (const object of [1, 2, 3]) {
      io.deliver(object)
      await settled()
    }
    expect(seen).toEqual([1, 2, 3])
    expect(io.leases).toEqual(['release counted 0-0 of 1', 'release counted 1-1 of 1', 'acknowledge 2-2 of 1'])
    expect(errors).toMatchObject([{ code: 'HANDLER_FAILED' }, { code: 'HANDLER_FAILED' }])
    expect(io.asked).toEqual(['g 1', 'g 1', 'g 1', 'g 1'])
    for (const { failure } of io.releases) expect(failure?.error?.message?.length).toBeGreaterThan(0)
  })

  it('tells the relay what it threw, and the program what comes next', async () => {
    const { endpoint, io, errors } = openEndpoint()
    io.connected(1, { relayLimits: { attemptsMax: 3 } })
    await settled()
    endpoint.work(
      'g',
      () => {
        throw Object.assign(new TypeError('no such file'), { code: 'ENOENT' })
      },
      { retryDelayMs: 500 },
    )
    for (const attempt of [1, 2, 3]) {
      io.deliver(attempt, { attempt })
      await settled()
    }
    expect(io.releases[0]).toMatchObject({
      retryDelayMs: 500,
      failure: { reason: 'failed', error: { name: 'TypeError', message: 'no such file', code: 'ENOENT' } },
    })
    expect(io.releases[0]?.failure?.error?.stack).toContain('handing.test.ts')
    const messages = errors.map(({ message }) => message)
    expect(messages[0]).toContain('no such file. That was attempt 1 of 3: it is tried again in 500 ms.')
    expect(messages[1]).toContain('attempt 2 of 3: it is tried again in 1000 ms.')
    expect(messages[2]).toContain('attempt 3 of 3: it is moved to the group "g.dead".')
  })

  it('an UnrecoverableError: skips what attempts are left', async () => {
    const { endpoint, io, errors } = openEndpoint()
    endpoint.work('g', () => {
      throw new UnrecoverableError('there is no such thing')
    })
    io.deliver(1)
    await settled()
    expect(io.leases).toEqual(['release final 0-0 of 1'])
    expect(io.releases).toMatchObject([{ attemptCounted: true, isFinal: true }])
    expect(errors[0]?.message).toContain('moved to the group "g.dead"')
  })

  it('after it has settled the object: says so', async () => {
    const { endpoint, io, errors } = openEndpoint()
    endpoint.work('g', (_object, { ack }) => {
      ack()
      throw new Error('afterwards')
    })
    io.deliver(1)
    await settled()
    expect(io.leases).toEqual(['acknowledge 0-0 of 1'])
    expect(errors[0]?.message).toContain('settled before')
  })
})

describe('release()', () => {
  it('says why, counts the attempt, and for how long to wait, if it is told to', async () => {
    const { endpoint, io } = openEndpoint()
    const deliveries = endpoint.deliveries()
    for (const options of [
      undefined,
      { error: new RangeError('no room') },
      { retryDelayMs: 20 },
      { error: 'why', attemptCounted: false },
    ]) {
      io.deliver(0)
      const delivery = await next(deliveries)
      delivery.release(options)
    }
    await settled()
    expect(io.leases).toEqual([
      'release 0-0 of 1',
      'release counted 1-1 of 1',
      'release counted 2-2 of 1',
      'release 3-3 of 1',
    ])
    expect(io.releases).toMatchObject([
      { failure: { reason: 'released', error: { name: 'RangeError', message: 'no room' } } },
      { retryDelayMs: 20, failure: undefined },
    ])
  })

  it.each([
    [{ retryDelay: 5 }],
    [{ retryDelayMs: -1 }],
    [{ retryDelayMs: 1.5 }],
    [{ retryDelayMs: '5' }],
    [{ attemptCounted: 1 }],
    [5],
  ])('refuses %j, and settles nothing', async (options) => {
    const { endpoint, io } = openEndpoint()
    io.deliver(0)
    const delivery = await next(endpoint.deliveries())
    expect(() => delivery.release(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    delivery.ack()
    await settled()
    expect(io.leases).toEqual(['acknowledge 0-0 of 1'])
  })
})

test('drops what waits for a handler when the same relay has given it to others', async () => {
  const { endpoint, io } = openEndpoint()
  const working = gate()
  const seen: unknown[] = []
  await endpoint.notify({ g: 2 })
  endpoint.work('g', (object) => {
    seen.push(object)
    return working.passed
  })
  io.deliverRun([1, 2, 3])
  await settled()
  io.connected(2, { sameRelay: true, returned: true })
  await settled()
  working.open()
  await settled()
  expect(seen).toEqual([1])
  expect(io.asked).toEqual(['g 2', 'g 1', 'g 2', 'g 1'])
  io.deliver(2)
  await settled()
  expect(seen).toEqual([1, 2])
})

test('says how a dead letter died', async () => {
  const { endpoint, io } = openEndpoint()
  const deadLetter = {
    reason: 'failed',
    attempts: 5,
    endpoint: 'Tl9hbl9lbmRwb2ludHNfaQ',
    name: 'host:1',
    diedAtMs: 1_700_000_000_000,
    error: { message: 'no such file' },
  } as const
  io.deliver(1, { isDead: true, deadLetter })
  io.deliver(2)
  const deliveries = endpoint.deliveries()
  const { diedAtMs, ...rest } = deadLetter
  expect((await next(deliveries)).deadLetter).toEqual({ ...rest, diedAt: new Date(diedAtMs) })
  expect((await next(deliveries)).deadLetter).toBeUndefined()
})
