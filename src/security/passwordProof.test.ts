import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { ObjectRelayError } from '../errors.ts'
import { noChannelBinding, Transcript } from './channelProof.ts'
import { EndpointProof, type EndpointStep } from './endpointProof.ts'
import { loadPasswordProof } from './passwordLogin.ts'
import { binding, receiveAtOnce, runExchange } from './proofExchange.fixture.ts'
import {
  appendProof,
  loginFailed,
  type ProofMessage,
  proofMessageTypes,
  ticketStart,
  ticketUnknown,
} from './proofMessages.ts'
import { RelayAuthenticator, type RelayStep } from './relayProof.ts'
import type { Ticket } from './tickets.ts'

const password = 'correct horse battery'
const channelBinding = binding(7)
const ticketKey = new Uint8Array(32).fill(3)
let relay: RelayAuthenticator

beforeAll(async () => {
  relay = await RelayAuthenticator.create({ password }, { ticketMs: 60_000, ticketKey })
  await loadPasswordProof()
})

function codeOf(outcome: EndpointStep['outcome'] | RelayStep['outcome']): string {
  if (outcome === undefined) return 'none'
  return 'refused' in outcome ? outcome.refused.code : 'authenticated'
}

function namesOf(frames: readonly ProofMessage[]): number[] {
  return frames.map(({ type }) => type)
}

function login(nowMs = 0): Ticket {
  const { endpoint } = runExchange(new EndpointProof({ password, channelBinding }), relay.begin(channelBinding), nowMs)
  if (endpoint === undefined || !('authenticated' in endpoint) || endpoint.ticket === undefined) {
    throw new Error('The login of the test did not succeed')
  }
  return endpoint.ticket
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

describe('the proof by password', () => {
  it('lets both sides know in four frames that the other has the password, and gives the endpoint a ticket', () => {
    const exchange = runExchange(new EndpointProof({ password, channelBinding }), relay.begin(channelBinding))
    expect(namesOf(exchange.frames)).toEqual([1, 2, 3, 4])
    expect(exchange.relay).toEqual({ authenticated: true, method: 'password' })
    expect(exchange.endpoint).toMatchObject({ authenticated: true, ticket: { lifetimeMs: 60_000 } })
  })

  it('takes the two ways of writing an accented letter as the same password', async () => {
    const accented = await RelayAuthenticator.create({ password: 'caf\u00e9 du coin' }, { ticketMs: 0, ticketKey })
    const endpoint = new EndpointProof({ password: 'cafe\u0301 du coin', channelBinding })
    expect(codeOf(runExchange(endpoint, accented.begin(channelBinding)).endpoint)).toBe('authenticated')
  })

  it('hands out no ticket where there is no TLS, and takes none', () => {
    const bare = noChannelBinding()
    const first = runExchange(new EndpointProof({ password, channelBinding: bare }), relay.begin(bare))
    expect(first.endpoint).toEqual({ authenticated: true, ticket: undefined })
    const second = new EndpointProof({ password, channelBinding: bare, ticket: login() })
    expect(second.start().type).toBe(proofMessageTypes.LOGIN_START)
  })

  it('reports a wrong password on both sides', () => {
    const endpoint = new EndpointProof({ password: 'wrong', channelBinding })
    const exchange = runExchange(endpoint, relay.begin(channelBinding))
    expect(namesOf(exchange.frames)).toEqual([1, 2, 8])
    expect(codeOf(exchange.endpoint)).toBe('WRONG_PASSWORD')
    expect(codeOf(exchange.relay)).toBe('WRONG_PASSWORD')
  })

  it('counts a connection as guessing from the response until the password is proven', () => {
    const proof = relay.begin(channelBinding)
    const endpoint = new EndpointProof({ password, channelBinding })
    expect(proof.guessing).toBe(false)
    const response = receiveAtOnce(proof, endpoint.start()).send
    expect(proof.guessing).toBe(true)
    if (response === undefined) throw new Error('The relay was silent')
    const finish = endpoint.receive(response).send
    if (finish === undefined) throw new Error('The endpoint was silent')
    expect(codeOf(proof.receive(finish, 0).outcome)).toBe('authenticated')
    expect(proof.guessing).toBe(false)
  })

  it('goes on counting as guessing when the endpoint gives up', () => {
    const proof = relay.begin(channelBinding)
    runExchange(new EndpointProof({ password: 'wrong', channelBinding }), proof)
    expect(proof.guessing).toBe(true)
  })

  it('refuses a relay that does not know the password, without telling it anything but that', async () => {
    const impostor = await RelayAuthenticator.create({ password: 'guess' }, { ticketMs: 60_000, ticketKey })
    const exchange = runExchange(new EndpointProof({ password, channelBinding }), impostor.begin(channelBinding))
    expect(codeOf(exchange.endpoint)).toBe('WRONG_PASSWORD')
    expect(namesOf(exchange.frames)).toEqual([1, 2, 8])
  })

  it('is refused by both ends when someone in between has a channel to each and passes everything on', () => {
    const exchange = runExchange(new EndpointProof({ password, channelBinding: binding(1) }), relay.begin(binding(2)))
    expect(codeOf(exchange.relay)).toBe('CHANNEL_MISMATCH')
    expect(codeOf(exchange.endpoint)).toBe('RELAY_NOT_PROVEN')
    expect(namesOf(exchange.frames)).toEqual([1, 2, 3, 8])
  })

  it('is refused when someone strips the TLS on one side', () => {
    const exchange = runExchange(new EndpointProof({ password, channelBinding }), relay.begin(noChannelBinding()))
    expect(codeOf(exchange.relay)).toBe('CHANNEL_MISMATCH')
    expect(codeOf(exchange.endpoint)).toBe('RELAY_NOT_PROVEN')
  })

  it('is refused when someone adds TLS on one side', () => {
    const bare = new EndpointProof({ password, channelBinding: noChannelBinding() })
    const exchange = runExchange(bare, relay.begin(channelBinding))
    expect(codeOf(exchange.relay)).toBe('CHANNEL_MISMATCH')
    expect(codeOf(exchange.endpoint)).toBe('RELAY_NOT_PROVEN')
  })

  it('refuses frames that were recorded on another connection, even on a channel of the same name', () => {
    const recorded = runExchange(new EndpointProof({ password, channelBinding }), relay.begin(channelBinding)).frames
    const proof = relay.begin(channelBinding)
    const [start, , finish] = recorded
    if (start === undefined || finish === undefined) throw new Error('Nothing was recorded')
    expect(receiveAtOnce(proof, start).send?.type).toBe(proofMessageTypes.LOGIN_RESPONSE)
    expect(codeOf(proof.receive(finish, 0).outcome)).toBe('WRONG_PASSWORD')
  })

  it('does not take the proof of the endpoint back as the one of the relay', () => {
    const exchange = runExchange(
      new EndpointProof({ password, channelBinding }),
      relay.begin(channelBinding),
      0,
      (frame) => (frame.type === proofMessageTypes.LOGIN_PROOF ? { ...frame, body: flip(frame.body, 51) } : frame),
    )
    expect(codeOf(exchange.endpoint)).toBe('RELAY_NOT_PROVEN')
  })

  it('notices any changed byte of any frame on at least one side', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 2, 3, 4), fc.nat(327), (type, position) => {
        const exchange = runExchange(
          new EndpointProof({ password, channelBinding }),
          relay.begin(channelBinding),
          0,
          (frame) => (frame.type === type ? { type, body: flip(frame.body, position % frame.body.length) } : frame),
        )
        expect([codeOf(exchange.endpoint), codeOf(exchange.relay)]).not.toEqual(['authenticated', 'authenticated'])
        expect(codeOf(exchange.endpoint)).not.toBe('authenticated')
      }),
      { numRuns: 40 },
    )
  })

  it('refuses password stretching beyond the bounds before it computes anything', () => {
    for (const [offset, value] of [
      [0, 512 * 1024],
      [4, 11],
      [6, 5],
      [4, 0],
      [0, 7],
      [0, 0xffff_ffff],
    ] as const) {
      const started = performance.now()
      const exchange = runExchange(
        new EndpointProof({ password, channelBinding }),
        relay.begin(channelBinding),
        0,
        (frame) => {
          if (frame.type !== proofMessageTypes.LOGIN_RESPONSE) return frame
          const body = Buffer.from(frame.body)
          if (offset === 0) body.writeUInt32LE(value, 0)
          else body.writeUInt16LE(value, offset)
          return { ...frame, body }
        },
      )
      expect(codeOf(exchange.endpoint)).toBe('PROTOCOL_VIOLATION')
      expect(performance.now() - started).toBeLessThan(1_000)
    }
  })

  it('turns an endpoint away for a bounded time when wrong passwords came from its address', () => {
    const endpoint = new EndpointProof({ password, channelBinding })
    endpoint.start()
    const proof = relay.begin(channelBinding)
    const { send, outcome } = proof.refuseForNow(1_500.2)
    expect(codeOf(outcome)).toBe('TOO_MANY_ATTEMPTS')
    if (send === undefined) throw new Error('The relay was silent')
    expect(endpoint.receive(send).outcome).toMatchObject({ refused: { retryable: true, details: { waitMs: 1_501 } } })
    const other = new EndpointProof({ password, channelBinding })
    other.start()
    const outcomeOfOther = other.receive(loginFailed('attempts', 0xffff_ffff)).outcome
    expect(outcomeOfOther).toMatchObject({ refused: { details: { waitMs: 60_000 } } })
  })

  it('shows neither password nor keys when it is printed', async () => {
    const { inspect } = await import('node:util')
    const endpoint = new EndpointProof({ password, channelBinding, ticket: login() })
    expect(inspect([endpoint, relay, relay.begin(channelBinding)], { depth: 9, showHidden: true })).not.toContain(
      password,
    )
  })
})

describe('the proof by ticket', () => {
  it('takes two frames, and the ticket is good for further endpoints', () => {
    const ticket = login()
    for (const fill of [3, 4]) {
      const proof = new EndpointProof({ password, channelBinding: binding(fill), ticket })
      const exchange = runExchange(proof, relay.begin(binding(fill)), 59_999)
      expect(namesOf(exchange.frames)).toEqual([5, 6])
      expect(exchange.relay).toEqual({ authenticated: true, method: 'ticket' })
      expect(exchange.endpoint).toEqual({ authenticated: true, ticket })
    }
  })

  it('goes on with the password on the same connection when the ticket has expired', () => {
    const proof = new EndpointProof({ password, channelBinding, ticket: login() })
    const exchange = runExchange(proof, relay.begin(channelBinding), 60_000)
    expect(namesOf(exchange.frames)).toEqual([5, 7, 1, 2, 3, 4])
    expect(codeOf(exchange.endpoint)).toBe('authenticated')
    expect(codeOf(exchange.relay)).toBe('authenticated')
  })

  it('is taken by a relay that was restarted with its ticket key and the same password', async () => {
    const restarted = await RelayAuthenticator.create({ password }, { ticketMs: 60_000, ticketKey })
    const proof = new EndpointProof({ password, channelBinding, ticket: login() })
    const exchange = runExchange(proof, restarted.begin(channelBinding))
    expect(namesOf(exchange.frames)).toEqual([5, 6])
    expect(codeOf(exchange.endpoint)).toBe('authenticated')
  })

  it('is worth nothing at a relay that was given another password', async () => {
    const changed = await RelayAuthenticator.create({ password: 'another one' }, { ticketMs: 60_000, ticketKey })
    const proof = new EndpointProof({ password, channelBinding, ticket: login() })
    const exchange = runExchange(proof, changed.begin(channelBinding))
    expect(namesOf(exchange.frames)).toEqual([5, 7, 1, 2, 8])
    expect(codeOf(exchange.relay)).toBe('WRONG_PASSWORD')
  })

  it('goes on with the password at a relay that was restarted with another ticket key', async () => {
    const options = { ticketMs: 60_000, ticketKey: new Uint8Array(32) }
    const restarted = await RelayAuthenticator.create({ password }, options)
    const proof = new EndpointProof({ password, channelBinding, ticket: login() })
    const exchange = runExchange(proof, restarted.begin(channelBinding))
    expect(namesOf(exchange.frames)).toEqual([5, 7, 1, 2, 3, 4])
    expect(codeOf(exchange.endpoint)).toBe('authenticated')
  })

  it('refuses a ticket proof that is replayed on another channel', () => {
    const first = new EndpointProof({ password, channelBinding: binding(1), ticket: login() }).start()
    expect(codeOf(relay.begin(binding(1)).receive(first, 0).outcome)).toBe('authenticated')
    expect(codeOf(relay.begin(binding(2)).receive(first, 0).outcome)).toBe('CHANNEL_MISMATCH')
  })

  it('takes no ticket where nothing names the channel, since the same proof would be good every time', () => {
    const { sealed, key } = login()
    const bare = noChannelBinding()
    const start = ticketStart(sealed)
    const message = appendProof(start, new Transcript(bare).proof(key, 'endpoint', start))
    expect(relay.begin(bare).receive(message, 0)).toEqual({ send: ticketUnknown() })
  })

  it('refuses a ticket with the right name and a wrong key, on both sides', () => {
    const ticket = { ...login(), key: new Uint8Array(32) }
    const exchange = runExchange(new EndpointProof({ password, channelBinding, ticket }), relay.begin(channelBinding))
    expect(codeOf(exchange.relay)).toBe('CHANNEL_MISMATCH')
    expect(codeOf(exchange.endpoint)).toBe('RELAY_NOT_PROVEN')
  })

  it('refuses a relay that answers a ticket with a proof of its own making', () => {
    const endpoint = new EndpointProof({ password, channelBinding, ticket: login() })
    endpoint.start()
    const step = endpoint.receive({ type: proofMessageTypes.TICKET_PROOF, body: new Uint8Array(32) })
    expect(codeOf(step.outcome)).toBe('RELAY_NOT_PROVEN')
  })

  it('notices when someone in between claims that the ticket is unknown', () => {
    const relayProof = relay.begin(channelBinding)
    const endpoint = new EndpointProof({ password, channelBinding, ticket: login() })
    endpoint.start()
    const start = endpoint.receive({ type: proofMessageTypes.TICKET_UNKNOWN, body: new Uint8Array(0) }).send
    if (start === undefined) throw new Error('The endpoint was silent')
    const response = receiveAtOnce(relayProof, start).send
    if (response === undefined) throw new Error('The relay was silent')
    const finish = endpoint.receive(response).send
    if (finish === undefined) throw new Error('The endpoint was silent')
    expect(codeOf(relayProof.receive(finish, 0).outcome)).toBe('CHANNEL_MISMATCH')
  })
})

type Party = { receive(frame: { type: number; body: Uint8Array }): RelayStep | EndpointStep }

/** Each side in each of its states, fresh. */
function partiesInEveryState(ticket: Ticket): Party[] {
  const relayIn = (frames: number): Party => {
    const proof = relay.begin(channelBinding)
    const endpoint = new EndpointProof({ password, channelBinding })
    let next: ProofMessage | undefined = endpoint.start()
    for (let step = 0; step < frames && next !== undefined; step += 1) {
      const answer: ProofMessage | undefined = receiveAtOnce(proof, next).send
      next = answer === undefined ? undefined : endpoint.receive(answer).send
    }
    return { receive: (frame) => proof.receive(frame, 0) }
  }
  const endpointIn = (frames: number, withTicket: boolean): Party => {
    const proof = relay.begin(channelBinding)
    const endpoint = new EndpointProof({ password, channelBinding, ticket: withTicket ? ticket : undefined })
    let next: ProofMessage | undefined = endpoint.start()
    for (let step = 0; step < frames && next !== undefined; step += 1) {
      const answer: ProofMessage | undefined = receiveAtOnce(proof, next).send
      next = answer === undefined ? undefined : endpoint.receive(answer).send
    }
    return endpoint
  }
  const afterUnknown = relay.begin(channelBinding)
  afterUnknown.receive({ type: proofMessageTypes.TICKET_START, body: new Uint8Array(104) }, 0)
  const queued = relay.begin(channelBinding)
  queued.receive(new EndpointProof({ password, channelBinding }).start(), 0)
  return [
    relayIn(0),
    { receive: (frame) => afterUnknown.receive(frame, 0) },
    relayIn(1),
    relayIn(2),
    endpointIn(0, true),
    endpointIn(0, false),
    endpointIn(1, false),
    endpointIn(2, false),
    new EndpointProof({ password, channelBinding }),
    { receive: (frame) => queued.receive(frame, 0) },
  ]
}

describe('frames that do not belong', () => {
  const lengths = [96, 328, 96, 108, 104, 32, 0, 5, 0]

  it('are refused, typed, when truncated, extended, of an unknown type or of the other direction, in any state', () => {
    const ticket = login()
    for (let type = 0; type <= 16; type += 1) {
      const exact = lengths[type - 1] ?? 0
      for (const length of new Set([0, Math.max(exact - 1, 0), exact + 1, 4_000])) {
        if (length === exact && type >= 1 && type <= 9) continue
        for (const party of partiesInEveryState(ticket)) {
          expect(codeOf(party.receive({ type, body: new Uint8Array(length) }).outcome)).toBe('PROTOCOL_VIOLATION')
          const after = party.receive({ type: 1, body: new Uint8Array(96) })
          expect([codeOf(after.outcome), after.send]).toEqual(['PROTOCOL_VIOLATION', undefined])
        }
      }
    }
  })

  it('are refused when they are well-formed but out of order, in any state', () => {
    const ticket = login()
    // By the order of partiesInEveryState: what may come.
    const legal = [[1, 5], [1], [3, 8], [], [6, 7, 8], [2, 8, 9], [4, 8], [], [], []]
    for (let type = 1; type <= 9; type += 1) {
      for (const [index, party] of partiesInEveryState(ticket).entries()) {
        if (legal[index]?.includes(type)) continue
        const step = party.receive({ type, body: new Uint8Array(lengths[type - 1] ?? 0) })
        expect([index, type, codeOf(step.outcome), step.send]).toEqual([index, type, 'PROTOCOL_VIOLATION', undefined])
      }
    }
  })

  it('never make either side throw, accept, or fail with anything but a typed error', () => {
    const ticket = login()
    const frame = fc.integer({ min: 0, max: 10 }).chain((type) =>
      fc.record({
        type: fc.constant(type),
        body: fc.oneof(
          fc.uint8Array({ minLength: lengths[type - 1] ?? 0, maxLength: lengths[type - 1] ?? 0 }),
          fc.uint8Array({ maxLength: 400 }),
        ),
      }),
    )
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 4 }), (frames) => {
        for (const party of partiesInEveryState(ticket)) {
          for (const received of frames) {
            const { outcome } = party.receive(received)
            if (outcome === undefined) continue
            if (!('refused' in outcome)) throw new Error('Random bytes were accepted')
            expect(outcome.refused).toBeInstanceOf(ObjectRelayError)
          }
        }
      }),
      { numRuns: 15 },
    )
  })
})
