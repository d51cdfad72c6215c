import { FullError, type ObjectRelayError } from 'objectrelay'
import { afterEach, describe, expect, it } from 'vitest'
import { codeOf, failureOf } from '../support/failures.ts'
import { host, Network, password, take } from '../support/network.ts'
import { freePort } from '../support/ports.ts'
import { watch, within } from '../support/waiting.ts'

const bytes = (count: number) => new Uint8Array(count)

/** What waits to be sent is bounded. */
export function sendRoomContract(io: 'thread' | 'inline'): void {
  describe('bounds what waits to be sent', () => {
    const network = new Network(io)
    afterEach(() => network.end())

    it('lets calls beyond sendBytesMax wait for room, and keeps their order', async () => {
      const port = await freePort()
      const sender = network.begin({ port }, { limits: { sendBytesMax: 40_000 } })
      const sent = Array.from({ length: 30 }, (_, index) => sender.produce([index, bytes(3_000)], 'queue'))
      const stats = await sender.stats()
      expect(stats.state).toBe('connecting')
      expect(stats.sending.objects).toBe(30)
      expect(stats.sending.waitingObjects).toBeGreaterThan(10)
      expect(stats.sending.bytes - stats.sending.waitingBytes).toBeLessThanOrEqual(40_000)
      const states = sent.map(watch)
      expect(states.some(({ settled }) => settled)).toBe(false)
      const relay = await network.relay({ port })
      await within(Promise.all(sent), 'the acceptance of all')
      const receiver = await network.connect(relay, { groups: 'queue' })
      await receiver.notify({ queue: -1 })
      const received = await take(receiver, 30)
      expect(received.map((object) => (Array.isArray(object) ? object[0] : object))).toEqual(
        Array.from({ length: 30 }, (_, index) => index),
      )
      expect((await sender.stats()).sending).toEqual({ objects: 0, bytes: 0, waitingObjects: 0, waitingBytes: 0 })
    })

    it('rejects a call with SEND_ROOM_FULL when too much waits for room already', async () => {
      const port = await freePort()
      const limits = { sendBytesMax: 10_000, sendWaitingBytesMax: 10_000 }
      const sender = network.begin({ port }, { limits })
      const errors: string[] = []
      sender.on('error', ({ code }) => errors.push(code))
      const sent = [1, 2, 3, 4, 5, 6].map(() => sender.produce(bytes(3_000), 'queue'))
      const failure = await failureOf(() => sender.produce(bytes(3_000), 'queue'))
      expect(failure).toBeInstanceOf(FullError)
      expect(failure).toMatchObject({ code: 'SEND_ROOM_FULL', retryable: true })
      expect(failure.message).toContain('sendWaitingBytesMax')
      expect(errors).toEqual(['SEND_ROOM_FULL'])
      await network.relay({ port })
      await within(Promise.all(sent), 'the acceptance of what found room')
      await sender.produce(bytes(3_000), 'queue')
    })

    it('rejects calls beyond sendObjectsMax with one error, and tells of all of them by one event with their number', async () => {
      const port = await freePort()
      const sender = network.begin({ port }, { limits: { sendObjectsMax: 10 } })
      const events: ObjectRelayError[] = []
      sender.on('error', (error) => events.push(error))
      const sent = Array.from({ length: 1_010 }, (_, index) => sender.produce(index, 'queue'))
      const refused = await Promise.allSettled(sent.slice(10))
      const reasons = new Set(refused.map((result) => (result.status === 'rejected' ? result.reason : undefined)))
      expect([...reasons]).toEqual([expect.objectContaining({ code: 'SEND_ROOM_FULL' })])
      expect(events.map(({ code, details }) => [code, details.count])).toEqual([['SEND_ROOM_FULL', 1_000]])
      expect(events[0]?.message).toContain('sendObjectsMax')
      expect(sender.stats().sending.objects).toBe(10)
      await network.relay({ port })
      await within(Promise.all(sent.slice(0, 10)), 'the acceptance of what found room')
      await sender.produce('again', 'queue')
      expect(events.length).toBe(1)
    })

    it('tells of many errors of one code by a bounded number of events', async () => {
      const sender = network.begin({ port: await freePort() })
      const counts: unknown[] = []
      sender.on('error', ({ details }) => counts.push(details.count))
      for (let index = 0; index < 1_000; index++) void sender.produce(() => index, 'queue')
      await new Promise((resolve) => setImmediate(resolve))
      expect(counts).toEqual([...Array(99).fill(undefined), 901])
    })

    it('finds room for a single object of any size when nothing waits', async () => {
      const port = await freePort()
      const sender = network.begin({ port }, { limits: { sendBytesMax: 1_000, sendWaitingBytesMax: 1_000 } })
      const sent = sender.produce(bytes(300_000), 'queue')
      const second = sender.produce(bytes(300_000), 'queue')
      expect(await codeOf(() => sender.produce(bytes(1), 'queue'))).toBe('SEND_ROOM_FULL')
      const relay = await network.relay({ port })
      await within(Promise.all([sent, second]), 'the acceptance')
      expect((await relay.stats()).groups.queue).toMatchObject({ waiting: 2 })
    })

    it('may be left to itself: a failure that nobody awaits is an event and ends no program', async () => {
      const unhandled: unknown[] = []
      const listener = (reason: unknown) => unhandled.push(reason)
      process.on('unhandledRejection', listener)
      const sender = network.begin({ port: await freePort() }, { host, password })
      const codes: string[] = []
      sender.on('error', ({ code }) => codes.push(code))
      void sender.produce(() => 1, 'queue')
      void sender.broadcast('object', '')
      void sender.produce('never accepted', 'queue')
      void sender.notify('nothing of mine')
      void sender.pop({ maxItems: 0 })
      await sender.stop({ deadlineMs: 0 })
      void sender.produce('too late', 'queue')
      await new Promise((resolve) => setImmediate(resolve))
      process.off('unhandledRejection', listener)
      expect(unhandled).toEqual([])
      expect(codes).toEqual(expect.arrayContaining(['NOT_SERIALIZABLE', 'INVALID_ARGUMENT', 'NOT_A_MEMBER', 'STOPPED']))
    })
  })
}
