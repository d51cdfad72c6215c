import { Endpoint, GroupFullError, ObjectRelayError, type Relay, UsageError } from 'objectrelay'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { codeOf, failureOf } from '../support/failures.ts'
import { host, Network, password } from '../support/network.ts'

// What a program without types might give. The casts are the point: the types refuse all of it.
const wrongGroups: readonly [string, unknown][] = [
  ['an empty list', []],
  ['an empty object', {}],
  ['a number', 5],
  ['nothing', undefined],
  ['null', null],
  ['an empty name', ''],
  ['a list with an empty name', ['g', '']],
  ['a list with a number', ['g', 7]],
  ['a name twice', ['g', 'g']],
  ['a name that is too long', 'n'.repeat(129)],
  ['a name that is too long in UTF-8', 'ü'.repeat(65)],
  ['a name with a control character', 'a\nb'],
]

const wrongCounts: readonly [string, unknown][] = [
  ['not whole', 1.5],
  ['below -1', -2],
  ['not a number', '3'],
  ['NaN', Number.NaN],
  ['too large', 1_000_001],
  ['infinite', Number.POSITIVE_INFINITY],
]

/** Wrong arguments are refused at once, with an error of their own, and nothing is sent. */
export function argumentsContract(io: 'thread' | 'inline'): void {
  describe('refuses wrong arguments', () => {
    const network = new Network(io)
    let relay: Relay
    let endpoint: Endpoint
    beforeAll(async () => {
      relay = await network.relay()
      endpoint = await network.connect(relay, { groups: 'g' })
    })
    afterAll(() => network.end())

    describe.each(wrongGroups)('%s for groups', (_, value) => {
      it('in broadcast, produce, notify and sendObject', async () => {
        const group = value as string
        for (const send of [
          () => endpoint.broadcast('object', group),
          () => endpoint.produce('object', group),
          () => endpoint.sendObject('object', group),
        ]) {
          const failure = await failureOf(send)
          expect(failure).toBeInstanceOf(UsageError)
          expect(failure.code).toBe('INVALID_ARGUMENT')
        }
        const failure = await failureOf(() => endpoint.notify(value as string))
        expect(['INVALID_ARGUMENT', 'NOT_A_MEMBER']).toContain(failure.code)
      })
    })

    it.each(wrongCounts)('a count that is %s', async (_, count) => {
      expect(await codeOf(() => endpoint.sendObject('object', { g: count } as Record<string, number>))).toBe(
        'INVALID_ARGUMENT',
      )
      expect(await codeOf(() => endpoint.notify({ g: count } as Record<string, number>))).toBe('INVALID_ARGUMENT')
    })

    it.each([0, -1, 1.5, '2', Number.NaN])('maxItems: %s', async (maxItems) => {
      const options = { maxItems } as { maxItems: number }
      for (const method of ['pop', 'getLast', 'popSync', 'getLastSync'] as const) {
        const failure = await failureOf(() => endpoint[method](options))
        expect(failure.code).toBe('INVALID_ARGUMENT')
        expect(failure.message).toContain('maxItems')
      }
    })

    it('unknown options of a call, with the name that was meant', async () => {
      const failure = await failureOf(() => endpoint.pop({ maxItem: 2 } as object))
      expect(failure.code).toBe('INVALID_ARGUMENT')
      expect(failure.message).toContain('maxItems')
      expect(await codeOf(() => endpoint.retrieveAll({ maxItems: 2 } as object))).toBe('INVALID_ARGUMENT')
      expect(await codeOf(() => endpoint.pop({ timeoutMs: -1 }))).toBe('INVALID_ARGUMENT')
      expect(await codeOf(() => endpoint.pop({ blocking: 'yes' } as object))).toBe('INVALID_ARGUMENT')
      expect(await codeOf(() => endpoint.pop({ signal: 5 } as object))).toBe('INVALID_ARGUMENT')
      expect(await codeOf(() => endpoint.stop({ deadline: 5 } as object))).toMatch(/^INVALID_/)
    })

    it('a timeout of a call that does not wait, unless it says that it does not', async () => {
      for (const method of ['pop', 'getLast', 'retrieveAll', 'popSync', 'getLastSync', 'retrieveAllSync'] as const) {
        const failure = await failureOf(() => endpoint[method]({ timeoutMs: 10 }))
        expect(failure).toMatchObject({ code: 'INVALID_ARGUMENT', details: { argument: 'timeoutMs' } })
        expect(failure.message).toContain('blocking: true')
        expect(await endpoint[method]({ timeoutMs: 10, blocking: false })).toEqual([])
      }
    })

    it('asking for a group that it is not a member of', async () => {
      const failure = await failureOf(() => endpoint.notify('another'))
      expect(failure).toBeInstanceOf(UsageError)
      expect(failure.code).toBe('NOT_A_MEMBER')
      expect(failure.message).toContain('another')
      expect(await codeOf(() => endpoint.notify({ g: 1, another: 1 }))).toBe('NOT_A_MEMBER')
      expect(await codeOf(() => endpoint.work('another', () => undefined))).toBe('NOT_A_MEMBER')
    })

    it('a handler that is no function and a concurrency that is no count', async () => {
      expect(await codeOf(() => endpoint.work('g', 5 as never))).toBe('INVALID_ARGUMENT')
      for (const concurrency of [0, -1, 1.5]) {
        expect(await codeOf(() => endpoint.work('g', () => undefined, { concurrency }))).toBe('INVALID_ARGUMENT')
      }
    })

    it('and nothing of all that has reached the relay', async () => {
      const { counts } = await relay.stats()
      expect(counts).toMatchObject({ accepted: 0, rejected: 0, delivered: 0 })
    })

    it.each([
      ['host', { host: '' }],
      ['host', { host: 'tls://relay' }],
      ['port', { port: 0 }],
      ['port', { port: 65_536 }],
      ['port', { port: '80' as unknown as number }],
      ['password', { password: '' }],
      ['groups', { groups: '' }],
      ['groups', { groups: ['a', 'a'] }],
      ['groups', { groups: 5 as unknown as string }],
      ['security', { security: 'tls' as 'TLS' }],
      ['hostname', { hostname: 'relay' }],
      ['broadcasts', { broadcasts: 'newest' as 'latest' }],
      ['serializer', { serializer: {} as never }],
      ['schemas.g', { schemas: { g: {} as never } }],
      ['reconnect.factor', { reconnect: { factor: 0.5 } }],
      ['io', { io: 'process' as 'thread' }],
      ['limits.sendBytesMax', { limits: { sendBytesMax: 0 } }],
      ['on.connect', { on: { connect: () => undefined } as object }],
      ['connectTimeoutMs', { connectTimeoutMs: 0 }],
      ['hots', { hots: 'relay' } as object],
    ])('the option %s of Endpoint.connect, named in the error', async (option, options) => {
      const failure = await failureOf(() => Endpoint.connect({ host, port: relay.port, password, io, ...options }))
      expect(failure).toBeInstanceOf(UsageError)
      expect(failure.code).toBe('INVALID_OPTION')
      expect(failure.details.option).toBe(option)
    })

    it('has errors that know their class, category and code', async () => {
      const failure = await failureOf(() => endpoint.notify('another'))
      expect(failure).toBeInstanceOf(ObjectRelayError)
      expect(failure).not.toBeInstanceOf(GroupFullError)
      expect(failure).toMatchObject({ name: 'UsageError', category: 'misuse', retryable: false })
    })
  })
}
