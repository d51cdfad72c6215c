import { hostname } from 'node:os'
import { expect, test, vi } from 'vitest'
import { createError } from '../../errors.ts'
import { endpointLimitDefaults } from '../../limits.ts'
import {
  connectEndpoint,
  failureOf,
  newEndpoint,
  nextIo,
  openEndpoint,
  requiredOptions,
} from './scriptedEndpoint.fixture.ts'
import { settled } from './scriptedIo.fixture.ts'

const refused = { code: 'WRONG_PASSWORD', message: 'The passwords differ.' } as const

test('tells the I/O everything about the endpoint, with the defaults', async () => {
  const { io } = openEndpoint({ groups: 'g' })
  await settled()
  expect(io.configuration).toEqual({
    ...requiredOptions,
    session: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/),
    name: `${hostname()}:${process.pid}`,
    groups: ['g'],
    security: 'TLS',
    broadcasts: 'every',
    reconnect: { initialDelayMs: 100, maxDelayMs: 10_000, factor: 1.5, jitter: 0.1 },
    limits: endpointLimitDefaults,
  })
})

test('connects: tells of each attempt, and resolves when the relay has accepted it', async () => {
  const io = nextIo()
  const attempts: unknown[] = []
  const connecting = connectEndpoint({
    ...requiredOptions,
    on: { connecting: (event: unknown) => attempts.push(event) },
  })
  io.state({ state: 'connecting', attempt: 1, error: { code: 'CONNECT_FAILED', message: 'refused' }, delayMs: 100 })
  io.connected()
  const endpoint = await connecting
  expect(attempts).toEqual([{ attempt: 1, error: expect.objectContaining({ code: 'CONNECT_FAILED' }), delayMs: 100 }])
  expect(endpoint.stats().state).toBe('connected')
})

test('rejects with the class of the error when the relay refuses it, and lets go of the I/O', async () => {
  const io = nextIo()
  const connecting = failureOf(connectEndpoint(requiredOptions))
  io.state({ state: 'disconnected', error: refused })
  const error = await connecting
  expect(error).toMatchObject({ name: 'AuthenticationError', code: 'WRONG_PASSWORD' })
  expect(io.removed).toBe(true)
})

test('rejects with CONNECT_TIMEOUT and the last cause when the relay does not come up', async () => {
  const io = nextIo()
  const connecting = failureOf(connectEndpoint({ ...requiredOptions, connectTimeoutMs: 20 }))
  io.state({ state: 'connecting', error: { code: 'CONNECT_FAILED', message: 'nobody there' } })
  expect(await connecting).toMatchObject({
    name: 'ConnectTimeoutError',
    code: 'CONNECT_TIMEOUT',
    cause: { code: 'CONNECT_FAILED' },
  })
  expect(io.stopDeadlineMs).toBe(0)
  expect(io.removed).toBe(true)
})

test('fails every call with the same error after a refusal, and what waited too', async () => {
  const { endpoint, io, errors } = openEndpoint()
  const waiting = [
    failureOf(endpoint.produce(1, 'g')),
    failureOf(endpoint.pop({ blocking: true })),
    failureOf(endpoint[Symbol.asyncIterator]().next()),
  ]
  const disconnected = vi.fn()
  endpoint.on('disconnected', disconnected)
  await settled()
  io.state({ state: 'disconnected', error: refused })
  const found = await Promise.all(waiting)
  const later = await Promise.all(
    [endpoint.produce(1, 'g'), endpoint.broadcast(1, 'g'), endpoint.notify('g'), endpoint.pop()].map(failureOf),
  )
  const [error] = found
  expect(error).toMatchObject({ code: 'WRONG_PASSWORD' })
  for (const other of [...found, ...later]) expect(other).toBe(error)
  expect(() => endpoint.popSync()).toThrow(expect.objectContaining({ code: 'WRONG_PASSWORD' }))
  expect(() => endpoint.work('g', () => 1)).toThrow(expect.objectContaining({ code: 'WRONG_PASSWORD' }))
  expect(errors).toEqual([error])
  expect(disconnected).toHaveBeenCalledOnce()
  expect(await endpoint.stop()).toMatchObject({ deadlineReached: false })
  expect(io.stopDeadlineMs).toBeUndefined()
})

test('fails everything when the I/O ends unexpectedly', async () => {
  const { endpoint, io, errors } = openEndpoint()
  const waiting = [failureOf(endpoint.produce(1, 'g')), failureOf(endpoint.pop({ blocking: true }))]
  await settled()
  io.fail(createError('BACKGROUND_FAILED', 'The I/O thread ended.'))
  for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ code: 'BACKGROUND_FAILED' })
  expect(errors).toMatchObject([{ code: 'BACKGROUND_FAILED' }])
  await endpoint.stop()
  expect(endpoint.stats().state).toBe('stopped')
})

test('tells of a lost link, a full group, and what the relay reports', async () => {
  const { endpoint, io, errors } = openEndpoint()
  const events: unknown[] = []
  for (const name of ['reconnecting', 'connected', 'blocked', 'unblocked', 'objectsDropped'] as const) {
    endpoint.on(name, (event) => events.push([name, event]))
  }
  await settled()
  events.length = 0
  io.state({ state: 'reconnecting', attempt: 0, error: { code: 'LINK_LOST', message: 'gone' }, delayMs: 50 })
  io.state({ state: 'connected', resumed: true, relayLimits: { objectBytesMax: 5 } })
  io.text(0x32, 'g')
  io.text(0x33, 'g')
  io.notice({ code: 'OBJECTS_DROPPED', message: 'too slow', details: { group: 'g', count: 3 } })
  io.notice({ code: 'PEER_SILENT', message: 'hm' })
  await settled()
  expect(events).toEqual([
    ['reconnecting', { attempt: 0, delayMs: 50, error: expect.objectContaining({ code: 'LINK_LOST' }) }],
    ['connected', { resumed: true, relayLimits: { objectBytesMax: 5 } }],
    ['blocked', { group: 'g' }],
    ['unblocked', { group: 'g' }],
    ['objectsDropped', { group: 'g', count: 3, error: expect.objectContaining({ code: 'OBJECTS_DROPPED' }) }],
  ])
  expect(errors).toMatchObject([{ code: 'PEER_SILENT' }])
  expect(endpoint.stats().linksLost).toBe(1)
})

test('gives back on stop what was not taken, and answers what waits with nothing', async () => {
  const { endpoint, io } = openEndpoint()
  const waiting = endpoint.pop({ blocking: true })
  await settled()
  for (const object of [1, 2, 3]) io.deliver(object)
  expect(await waiting).toEqual([1])
  const late = endpoint.pop({ maxItems: 2, blocking: true })
  expect(await late).toEqual([2, 3])
  io.deliver(4)
  io.deliver(5)
  await settled()
  const blocked = openEndpoint()
  const nothing = blocked.endpoint.pop({ blocking: true })
  await settled()
  await Promise.all([endpoint.stop(), blocked.endpoint.stop()])
  expect(io.leases.at(-1)).toBe('release 3-4 of 1')
  expect(await nothing).toEqual([])
  expect(io.removed).toBe(true)
})

test('fails every call after stop, at once, and stops once', async () => {
  const { endpoint, io, errors } = openEndpoint()
  expect(await failureOf(endpoint.stop({ deadlineMs: -1 }))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  const stopping = endpoint.stop({ deadlineMs: 500 })
  expect(endpoint.stop()).toBe(stopping)
  const calls = [endpoint.produce(1, 'g'), endpoint.sendObject(1, { g: 0 }), endpoint.notify('g'), endpoint.pop()]
  for (const error of await Promise.all(calls.map(failureOf))) expect(error).toMatchObject({ code: 'STOPPED' })
  expect(() => endpoint.popSync()).toThrow(expect.objectContaining({ code: 'STOPPED' }))
  expect(() => endpoint.work('g', () => 1)).toThrow(expect.objectContaining({ code: 'STOPPED' }))
  expect(await stopping).toEqual({ undelivered: [], deadlineReached: false })
  expect(io.stopDeadlineMs).toBeGreaterThan(400)
  expect(errors.length).toBe(3)
})

test('resolves stop to what was not delivered, also to what still waited for room', async () => {
  const { endpoint, io } = openEndpoint({ limits: { sendBytesMax: 1_000 } })
  const weights = new Float32Array(50_000).fill(1)
  io.answersStop = false
  const sent = [
    endpoint.produce({ weights }, 'g'),
    endpoint.broadcast('small', 'h'),
    endpoint.produce({ weights }, 'h'),
  ]
  await settled()
  const stopping = endpoint.stop({ deadlineMs: 20 })
  await vi.waitFor(() => expect(io.stopDeadlineMs).toBe(0))
  const [first] = io.sent
  if (first !== undefined) io.giveBack(first)
  io.stopped(1, true)
  expect(await stopping).toEqual({
    undelivered: [
      { object: { weights }, groups: ['g'], kind: 'produce' },
      { object: 'small', groups: ['h'], kind: 'broadcast' },
      { object: { weights }, groups: ['h'], kind: 'produce' },
    ],
    deadlineReached: true,
  })
  for (const error of await Promise.all(sent.map(failureOf))) expect(error).toMatchObject({ code: 'DEADLINE' })
})

test('gives back what waited for room also when there is room at the very last', async () => {
  const { endpoint, io } = openEndpoint({ limits: { sendBytesMax: 1_000 } })
  const weights = new Float32Array(50_000).fill(1)
  io.answersStop = false
  const first = endpoint.produce({ weights }, 'g')
  const others = [endpoint.produce({ weights }, 'h'), endpoint.produce('small', 'h')]
  await settled()
  const stopping = endpoint.stop({ deadlineMs: 20 })
  await vi.waitFor(() => expect(io.stopDeadlineMs).toBe(0))
  io.accept(0, 0)
  io.stopped(0, true)
  const { undelivered } = await stopping
  expect(undelivered.map(({ object }) => object)).toEqual([{ weights }, 'small'])
  expect(await first).toEqual({ members: { g: 1 } })
  for (const error of await Promise.all(others.map(failureOf))) expect(error).toMatchObject({ code: 'DEADLINE' })
})

test('stops with await using', async () => {
  const { endpoint, io } = openEndpoint()
  await endpoint[Symbol.asyncDispose]()
  expect(io.removed).toBe(true)
})

test.each([
  ['host', { host: undefined }],
  ['host', { host: 'tls://somewhere' }],
  ['port', { port: 0 }],
  ['port', { port: '3000' }],
  ['port', { port: 65_536 }],
  ['password', { password: '' }],
  ['groups', { groups: ['g', 'g'] }],
  ['groups', { groups: [''] }],
  ['groups', { groups: 7 }],
  ['security', { security: 'tls' }],
  ['hostname', { hostname: 'relay.example' }],
  ['ca', { ca: 'no certificate' }],
  ['ca', { ca: '-----BEGIN CERTIFICATE-----', keysDir: 'keys' }],
  ['keysDir', { keysDir: 'keys', security: 'none' }],
  ['broadcasts', { broadcasts: 'newest' }],
  ['serializer', { serializer: { serialize: () => new Uint8Array() } }],
  ['schemas.g', { schemas: { g: {} } }],
  ['reconnect.factor', { reconnect: { factor: 0.5 } }],
  ['reconnect.maxDelayMs', { reconnect: { initialDelayMs: 500, maxDelayMs: 100 } }],
  ['reconnect.maxDelay', { reconnect: { maxDelay: 100 } }],
  ['io', { io: 'worker' }],
  ['limits.sendBytesMax', { limits: { sendBytesMax: 0 } }],
  ['limits.sendBytes', { limits: { sendBytes: 10 } }],
  ['on.conected', { on: { conected: () => 1 } }],
  ['group', { group: 'g' }],
  ['connectTimeoutMs', { connectTimeoutMs: 5 }],
])('refuses a bad option %s and names it', (option, options) => {
  nextIo()
  expect(() => newEndpoint({ ...requiredOptions, ...options })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', details: expect.objectContaining({ option }) }),
  )
})

test('suggests the option that was meant, and never shows the password', async () => {
  expect(await failureOf(connectEndpoint({ ...requiredOptions, grops: 'g' }))).toMatchObject({
    details: { suggestion: 'groups' },
  })
  const password = ['secret']
  expect(await failureOf(connectEndpoint({ ...requiredOptions, password }))).toMatchObject({
    message: expect.not.stringContaining('secret'),
  })
  expect(await failureOf(connectEndpoint(undefined))).toMatchObject({ code: 'INVALID_OPTION' })
  const connectTimeoutMs = -1
  expect(await failureOf(connectEndpoint({ ...requiredOptions, connectTimeoutMs }))).toMatchObject({
    details: { option: 'connectTimeoutMs' },
  })
})
