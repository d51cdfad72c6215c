import { getEventListeners, listenerCount, on, once, setMaxListeners } from 'node:events'
import { type Endpoint, ObjectRelayError, type Relay } from 'objectrelay'
import { afterEach, describe, expect, expectTypeOf, it } from 'vitest'
import { codeOf } from '../support/failures.ts'
import { Network } from '../support/network.ts'
import { freePort } from '../support/ports.ts'
import { within } from '../support/waiting.ts'

/** Endpoints and relays are listened to as any emitter of Node.js is, and listeners may do what the program may. */
export function eventsContract(io: 'thread' | 'inline'): void {
  describe('has events that code for Node.js understands', () => {
    const network = new Network(io)
    afterEach(() => network.end())

    it("events.once(endpoint, 'connected') resolves, and later errors find no trace of it", async () => {
      const endpoint = network.begin(await network.relay())
      endpoint.on('error', () => undefined)
      const [value]: unknown[] = await once(endpoint, 'connected')
      expect(value).toMatchObject({ resumed: false })
      expect(endpoint.listenerCount('error')).toBe(1)
      expect(await codeOf(() => endpoint.produce(() => 1, 'g'))).toBe('NOT_SERIALIZABLE')
    })

    it('events.once rejects with the error that comes first, and with the reason of its signal', async () => {
      const endpoint = network.begin({ port: await freePort() })
      const connected = once(endpoint, 'connected')
      void endpoint.produce(() => 1, 'g')
      await expect(connected).rejects.toMatchObject({ code: 'NOT_SERIALIZABLE' })
      const aborted = once(endpoint, 'connected', { signal: AbortSignal.abort() })
      await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
      expect(endpoint.eventNames()).toEqual([])
    })

    it('events.on gives one event after the other until its signal ends it', async () => {
      const endpoint = await network.connect(await network.relay(), { groups: 'g' })
      const { signal, abort } = abortable()
      const codes: string[] = []
      const listening = (async () => {
        for await (const [error] of on(endpoint, 'error', { signal })) {
          if (error instanceof ObjectRelayError) codes.push(error.code)
          if (codes.length === 2) abort()
        }
      })()
      void endpoint.produce(() => 1, 'g')
      void endpoint.notify('another')
      await expect(within(listening, 'the end of the loop')).rejects.toMatchObject({ name: 'AbortError' })
      expect(codes).toEqual(['NOT_SERIALIZABLE', 'NOT_A_MEMBER'])
      expect(endpoint.listenerCount('error')).toBe(0)
    })

    it('a relay is listened to in the same ways', async () => {
      const relay = await network.relay()
      const connected = once(relay, 'endpointConnected')
      await network.connect(relay, { groups: 'g' })
      const [event]: unknown[] = await within(connected, 'the event')
      expect(event).toMatchObject({ groups: ['g'], resumed: false })
      expect(relay.listenerCount('endpointConnected')).toBe(0)
      expectTypeOf(once).toBeCallableWith(relay, 'endpointLost')
    })

    it('has all that an emitter has: order, kinds of removing, counts, lists, and this', async () => {
      const relay = await network.relay()
      const endpoint = await network.connect(relay)
      const calls: string[] = []
      const second = () => void calls.push('second')
      endpoint
        .addListener('error', second)
        .prependListener('error', () => void calls.push('first'))
        .prependOnceListener('error', function (this: unknown) {
          calls.push(this === endpoint ? 'once' : 'once of another')
        })
      expect(listenerCount(endpoint, 'error')).toBe(3)
      expect(getEventListeners(endpoint, 'error')[2]).toBe(second)
      expect(endpoint.rawListeners('error')[0]).toHaveProperty('listener')
      expect(endpoint.eventNames()).toEqual(['error'])
      await codeOf(() => endpoint.produce(() => 1, 'g'))
      await codeOf(() => endpoint.produce(() => 1, 'g'))
      expect(calls).toEqual(['once', 'first', 'second', 'first', 'second'])
      endpoint.removeListener('error', second).off('error', () => undefined)
      expect(endpoint.listeners('error').length).toBe(1)
      expect(endpoint.removeAllListeners('error').listenerCount('error')).toBe(0)
      setMaxListeners(3, endpoint)
      expect(endpoint.getMaxListeners()).toBe(3)
      expect(await codeOf(() => endpoint.on('conected' as 'connected', () => undefined))).toBe('INVALID_ARGUMENT')
      expect(endpoint.listenerCount('conected' as 'connected')).toBe(0)
    })

    it('gives listeners the value of their event, typed', () => {
      expectTypeOf<Endpoint['on']>().toBeFunction()
      const check = (endpoint: Endpoint, relay: Relay) => {
        endpoint.once('connected', ({ resumed }) => expectTypeOf(resumed).toEqualTypeOf<boolean>())
        endpoint.prependListener('error', (error) => expectTypeOf(error).toEqualTypeOf<ObjectRelayError>())
        relay.addListener('error', (error) => expectTypeOf(error).toEqualTypeOf<ObjectRelayError>())
        relay.off('warning', ({ message }) => expectTypeOf(message).toEqualTypeOf<string>())
        // @ts-expect-error There is no such event.
        endpoint.on('conected', () => undefined)
      }
      expect(check).toBeTypeOf('function')
    })
  })

  describe('lets its listeners, and whatever else it calls, use it', () => {
    const network = new Network(io)
    afterEach(() => network.end())

    it('takes objects in a listener of a state event, also such as came before it', async () => {
      const relay = await network.relay()
      const other = await network.connect(relay)
      await other.broadcast('retained', 'g')
      const endpoint = network.begin(relay, { groups: 'g' })
      const taken: unknown[] = []
      const done = new Promise<void>((resolve) => {
        endpoint.on('connected', () => {
          taken.push(...endpoint.popSync(io === 'thread' ? { blocking: true, timeoutMs: 10_000 } : {}))
          taken.push(...endpoint.retrieveAllSync())
          resolve()
        })
      })
      await within(done, 'the event')
      if (io === 'inline') taken.push(...(await endpoint.pop({ blocking: true, timeoutMs: 10_000 })))
      expect(taken).toEqual(['retained'])
    })

    it('takes objects in a listener of an error event, of this endpoint and of others', async () => {
      const relay = await network.relay()
      const [one, other] = [
        await network.connect(relay, { groups: 'a' }),
        await network.connect(relay, { groups: 'b' }),
      ]
      await one.broadcast('for one', 'a')
      await one.broadcast('for the other', 'b')
      const taken: unknown[] = []
      const done = new Promise<void>((resolve) => {
        one.on('error', () => {
          const options = io === 'thread' ? { blocking: true, timeoutMs: 10_000 } : {}
          taken.push(one.popSync(options), other.getLastSync(options))
          resolve()
        })
      })
      if (io === 'inline') await settled(one, other)
      void one.produce(() => 1, 'a')
      await within(done, 'the event')
      expect(taken).toEqual([['for one'], ['for the other']])
    })

    it('takes objects in a handler of work, a schema, and deserialize', async () => {
      const relay = await network.relay()
      const taken: unknown[] = []
      const takeOne = () => void taken.push(...endpoint.popSync())
      const endpoint = await network.connect(relay, {
        groups: ['g', 'checked'],
        schemas: {
          checked: {
            '~standard': {
              version: 1,
              vendor: 'test',
              validate: (value) => {
                takeOne()
                return { value }
              },
            },
          },
        },
      })
      await endpoint.broadcast(1, 'checked')
      await endpoint.broadcast(2, 'g')
      await settled(endpoint, endpoint, 2)
      expect(await endpoint.pop()).toEqual([1])
      expect(taken).toEqual([2])
      await endpoint.broadcast(3, 'g')
      await settled(endpoint)
      let worked: () => void = () => undefined
      const work = new Promise<void>((resolve) => {
        worked = resolve
      })
      endpoint.work('g', () => {
        takeOne()
        worked()
      })
      await endpoint.produce('task', 'g')
      await within(work, 'the work')
      expect(taken).toEqual([2, 3])
    })

    it('takes what is there while an object is encoded, and refuses to wait for more', async () => {
      const relay = await network.relay()
      const endpoint = await network.connect(relay, { groups: 'g' })
      await endpoint.broadcast('there', 'g')
      await settled(endpoint)
      const taken: unknown[] = []
      let code = ''
      const object = {
        get property() {
          taken.push(...endpoint.popSync())
          try {
            endpoint.popSync({ blocking: true, timeoutMs: 60_000 })
          } catch (error) {
            code = error instanceof ObjectRelayError ? error.code : String(error)
          }
          return taken.length
        },
      }
      await endpoint.produce(object, 'queue')
      expect(taken).toEqual(['there'])
      expect(code).toBe('INVALID_ARGUMENT')
    })

    it('calls no listener in the middle of a call', async () => {
      const endpoint = network.begin({ port: await freePort() }, { groups: 'g' })
      const calls: string[] = []
      endpoint.on('error', () => calls.push('event'))
      const failed = codeOf(() => endpoint.produce(() => 1, 'g'))
      calls.push('returned')
      await failed
      expect(calls).toEqual(['returned', 'event'])
    })
  })

  /** Waits until the inboxes hold something. */
  async function settled(one: Endpoint, other: Endpoint = one, objects = 1): Promise<void> {
    while (one.stats().inbox.objects < objects || other.stats().inbox.objects < objects)
      await new Promise((resolve) => setImmediate(resolve))
  }
}

function abortable(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}
