import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { PASSWORD, settle } from '../../../test/support/relayWorld.ts'
import { FakeClock } from '../../clock.fixture.ts'
import type { ObjectRelayError } from '../../errors.ts'
import { endpointLimitDefaults, relayLimitDefaults } from '../../limits.ts'
import { binding, receiveAtOnce } from '../../security/proofExchange.fixture.ts'
import { loginQueued, proofMessageTypes } from '../../security/proofMessages.ts'
import { RelayAuthenticator } from '../../security/relayProof.ts'
import type { Link } from '../../transport/link.ts'
import { createMemoryLink, type MemoryLink, type MemoryTransport } from '../../transport/memoryTransport.ts'
import { encodeJson } from '../../wire/controlFrames.ts'
import { FrameReader } from '../../wire/frameReader.ts'
import { FRAME_HEADER_BYTES, FrameType } from '../../wire/frameTypes.ts'
import { encodeProofFrame } from '../../wire/proofFrame.ts'
import { Connector } from './connector.ts'
import { TicketPool } from './ticketPool.ts'

const channelBinding = binding(7)
const { LOGIN_START, TICKET_START } = proofMessageTypes

/** A relay that welcomes everybody, and a process of endpoints that connect to it. */
class Process {
  readonly clock: FakeClock = new FakeClock()
  readonly connectors: Connector[] = []
  established = 0
  /** The first frames of the connections. */
  begun: number[] = []
  logins = 0
  /** Whether the relay answers nothing. */
  hangs = false
  /** Whether it lets logins wait. */
  isBusy = false
  connections = 0
  readonly errors: string[] = []
  readonly #tickets = new TicketPool(this.clock)
  #links: MemoryLink[] = []
  #authenticator: RelayAuthenticator | undefined

  /** The relay is there, and knows nothing of before. */
  async restart(): Promise<void> {
    this.#authenticator = await RelayAuthenticator.create(
      { password: PASSWORD },
      { ticketMs: 1_000_000, ticketKey: randomBytes(32) },
    )
    this.begun = []
    this.logins = 0
    this.established = 0
    for (const link of this.#links.splice(0)) link.cut()
    await settle(this.clock)
  }

  async open(count: number): Promise<void> {
    for (let index = 0; index < count; index++) this.#open()
    await settle(this.clock)
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms)
    await settle(this.clock)
  }

  /** The relay tells all that their turn will come. */
  sayBusy(): void {
    for (const link of this.#links) link.far.write(encodeProofFrame(loginQueued()))
  }

  #open(): void {
    const owner = {
      greeting: () => ({ received: undefined, epoch: 0, unresolved: [], inboxBytes: 1_000 }),
      established: (link: Link) => {
        link.handler = owner
        this.established++
      },
      retrying: ({ code }: ObjectRelayError) => void this.errors.push(code),
      refused: (error: ObjectRelayError) => {
        throw error
      },
      frame: () => undefined,
      chunk: () => undefined,
      confirmed: () => undefined,
      closed: (error: ObjectRelayError) => connector.lost(error),
    }
    const connector = new Connector(
      {
        ...{ host: '127.0.0.1', port: 1, password: PASSWORD, groups: [], broadcasts: 'every', security: 'TLS' },
        ...{ reconnect: { initialDelayMs: 100, maxDelayMs: 100, factor: 1, jitter: 0.5 } },
        ...{ session: 'ABCDEFGHIJKLMNOPQRSTUV', name: 'worker' },
        limits: { ...endpointLimitDefaults },
      },
      { clock: this.clock, tickets: this.#tickets, connect: async () => this.#connect() },
      owner,
    )
    this.connectors.push(connector)
    connector.dial()
  }

  #connect(): MemoryTransport {
    const link = createMemoryLink({ schedule: (run) => this.clock.soon(run), channelBinding })
    this.#links.push(link)
    this.connections++
    const proof = this.#authenticator?.begin(channelBinding)
    let isFirst = true
    const reader = new FrameReader({
      frame: (type, buffer, start, end) => {
        if (isFirst) this.begun.push(type)
        isFirst = false
        if (type === LOGIN_START) this.logins++
        if (this.hangs || this.isBusy) return
        if (type === FrameType.HELLO) link.far.write(welcome)
        const body = Buffer.from(buffer.subarray(start + FRAME_HEADER_BYTES, end))
        const isProof = type < FrameType.HELLO && proof !== undefined
        const send = isProof ? receiveAtOnce(proof, { type, body }, this.clock.dateMs()).send : undefined
        if (send !== undefined) link.far.write(encodeProofFrame(send))
      },
      chunk: () => undefined,
    })
    link.far.onData = (bytes) => reader.push(bytes)
    return link.near
  }
}

const welcome = encodeJson(FrameType.WELCOME, {
  ...{ version: 1, agent: 'raw', relay: 'x', resumed: false, received: 0 },
  limits: relayLimitDefaults,
})

describe('The endpoints of a process', () => {
  it('come back to a relay that was restarted with one password exchange for all', async () => {
    const process = new Process()
    await process.restart()
    await process.open(30)
    expect(process).toMatchObject({ established: 30, logins: 1 })
    await process.restart()
    await process.advance(200)
    expect(process).toMatchObject({ established: 30, logins: 1 })
    expect(process.begun.every((type) => type === TICKET_START)).toBe(true)
  })

  it('share the next ticket also when nobody saw the relay go', async () => {
    const process = new Process()
    await process.restart()
    await process.open(1)
    for (const connector of process.connectors) connector.stop()
    await process.restart()
    await process.advance(1_000)
    await process.open(30)
    expect(process).toMatchObject({ established: 30, logins: 1 })
  })

  it('do not wait longer for one whose login is swallowed than logging in alone takes', async () => {
    const process = new Process()
    await process.restart()
    process.hangs = true
    await process.open(1)
    process.hangs = false
    await process.open(30)
    expect(process.established).toBe(0)
    await process.advance(999)
    expect(process.established).toBe(0)
    await process.advance(1)
    expect(process).toMatchObject({ established: 30, logins: 2 })
  })

  it('find a relay in a few seconds that swallows the first logins of many', async () => {
    const process = new Process()
    await process.restart()
    process.hangs = true
    await process.open(100)
    for (let second = 0; second < 3; second++) await process.advance(1_000)
    expect(process).toMatchObject({ established: 0, logins: 8 })
    process.hangs = false
    await process.advance(1_000)
    expect(process.established).toBe(92)
  })

  it('wait before they connect, and so occupy no place at the relay', async () => {
    const process = new Process()
    await process.restart()
    process.hangs = true
    await process.open(100)
    expect(process.connections).toBe(1)
  })

  it('give an attempt up when the relay has been silent for 15 s, and not while it says that it is busy', async () => {
    const process = new Process()
    await process.restart()
    process.isBusy = true
    await process.open(1)
    for (let second = 0; second < 100; second++) {
      process.sayBusy()
      await process.advance(1_000)
    }
    expect(process.errors).toEqual([])
    for (let second = 0; second < 30; second++) {
      process.sayBusy()
      await process.advance(1_000)
    }
    // However often it says so.
    expect(process.errors).toContain('HANDSHAKE_TIMEOUT')

    const other = new Process()
    await other.restart()
    other.hangs = true
    await other.open(1)
    await other.advance(14_999)
    expect(other.errors).toEqual([])
    await other.advance(1)
    expect(other.errors).toEqual(['HANDSHAKE_TIMEOUT'])
  })
})
