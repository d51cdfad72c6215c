import { FakeClock } from '../../src/clock.fixture.ts'
import { Destinations } from '../../src/endpoint/program/destinations.ts'
import { checkEndpointOptions } from '../../src/endpoint/program/endpointOptions.ts'
import { EndpointProgram } from '../../src/endpoint/program/endpointProgram.ts'
import { checkTakeOptions } from '../../src/endpoint/program/takeOptions.ts'
import { ObjectRelayError } from '../../src/errors.ts'
import { RelayServer } from '../../src/relay/relayServer.ts'
import { openStore } from '../../src/store/memoryStore.ts'
import type { MemoryTransport } from '../../src/transport/memoryTransport.ts'
import { SeededRandom } from '../simulation/random.ts'
import { settle } from '../support/relayWorld.ts'
import { fuzzLimits, fuzzLink, type Keyring, OneTicket, PASSWORD, sharedKeyring } from './channel.ts'
import { addTo, type FuzzCounts, type FuzzOptions } from './counts.ts'
import { fail } from './failure.ts'
import { FuzzIo } from './fuzzIo.ts'
import { Liar, LiarBook } from './liar.ts'
import { liarHabits, welcomeRightly } from './liarHabits.ts'
import { type LiarLie, liarLies, welcomeLying } from './liarLies.ts'
import { Neighbours } from './neighbours.ts'
import { pickWeighted } from './peerHabits.ts'
import type { Verdict } from './peerLies.ts'

const HONEST_PORT = 1
const LYING_PORT = 2
const INBOX_BYTES_MAX = 500_000
const OBJECT_BYTES_MAX = 2_000_000
const lieTable: readonly (readonly [string, LiarLie])[] = Object.entries(liarLies)

/**
 * A process with endpoints of two relays: an honest one, whose objects must go on arriving; and one that keeps the rules for a
 * while, and then breaks them.
 */
export class EndpointFuzz {
  readonly #random: SeededRandom
  readonly #clock = new FakeClock()
  readonly #keyring: Keyring
  readonly #io: FuzzIo
  readonly #neighbours: Neighbours
  readonly #counts: FuzzCounts
  readonly #note: (what: string) => void
  readonly #destinations = new Destinations()
  #liar: Liar | undefined
  #book = new LiarBook(false)
  #mistake: string | undefined

  private constructor(seed: number, keyring: Keyring, { counts, note = () => undefined }: FuzzOptions) {
    const random = new SeededRandom(seed)
    this.#random = random
    this.#keyring = keyring
    this.#counts = counts
    this.#note = note
    const server = new RelayServer(
      { acceptedGroups: null, limits: fuzzLimits(random) },
      { clock: this.#clock, authenticator: keyring.authenticator, store: openStore(), emit: () => undefined },
    )
    this.#io = new FuzzIo({
      clock: this.#clock,
      tickets: new OneTicket(keyring),
      connect: (port) => this.#connect(port, server),
    })
    this.#neighbours = new Neighbours(this.#io, HONEST_PORT, () => settle(this.#clock))
  }

  /** Runs so many endpoints against lying relays; throws what went wrong. */
  static async run(seed: number, endpoints: number, options: FuzzOptions): Promise<void> {
    const fuzz = new EndpointFuzz(seed, await sharedKeyring(), options)
    await settle(fuzz.#clock)
    for (let left = endpoints; left > 0; left--) {
      await fuzz.#oneEndpoint()
      await fuzz.#neighbours.exchange(fuzz.#random.pick([0, 100, 200_000]))
      if (fuzz.#mistake !== undefined) fail(fuzz.#mistake)
    }
    options.counts.exchanged += fuzz.#neighbours.exchanged
    await fuzz.#neighbours.stop((ms) => fuzz.#clock.advance(ms))
    if (fuzz.#io.sessions > 0) fail(`${fuzz.#io.sessions} endpoints are not over.`)
  }

  #connect(port: number, server: RelayServer): MemoryTransport {
    const link = fuzzLink((run) => this.#clock.soon(run), this.#random)
    if (port === HONEST_PORT)
      server.admit({ transport: link.far, reached: () => undefined, authenticated: () => undefined })
    else this.#liar = new Liar(link.far, this.#keyring.authenticator.begin(link.far.channelBinding), this.#book)
    return link.near
  }

  async #oneEndpoint(): Promise<void> {
    const random = this.#random
    this.#counts.peers++
    this.#liar = undefined
    this.#book = new LiarBook(random.chance(0.7))
    const groups = random.some(['g', 'h'], 0.6)
    const program = this.#open(groups)
    await settle(this.#clock)
    for (let left = random.integer(5, 60); left > 0 && program.status.failure === undefined; left--) {
      await this.#use(program, groups)
      await this.#beRelay(program)
      this.#checkBounds(program)
    }
    this.#counts.claims += this.#book.claims.size
    const stopped = program.stopping.run(500)
    for (let left = 10; left > 0; left--) {
      this.#clock.advance(100)
      await settle(this.#clock)
    }
    const { undelivered } = await stopped
    if (undelivered.some(({ object }) => object === undefined)) fail('What was not delivered cannot be read.')
  }

  #open(groups: string[]): EndpointProgram {
    const minded = (error: unknown) => this.#mind(error)
    const options = {
      host: '127.0.0.1',
      port: LYING_PORT,
      password: PASSWORD,
      groups,
      limits: { inboxBytesMax: INBOX_BYTES_MAX, objectBytesMax: OBJECT_BYTES_MAX },
      on: {
        error: minded,
        disconnected: ({ error }: { error: ObjectRelayError }) => this.#mind(error),
        reconnecting: ({ error, delayMs }: { error: ObjectRelayError; delayMs: number }) => {
          this.#mind(error)
          if (!(delayMs >= 0 && delayMs <= 60_000)) this.#mistake ??= `The endpoint waits ${delayMs} ms.`
        },
      },
    }
    return new EndpointProgram(checkEndpointOptions(options), this.#io)
  }

  /** What the program hears must be of a type; what is a mistake of the endpoint itself shows in the cause. */
  #mind(error: unknown): void {
    if (!(error instanceof ObjectRelayError)) {
      this.#mistake ??= `An error has no type: ${String(error)}`
      return
    }
    this.#note(`${error.code} ${error.message.slice(0, 200)}`)
    if (error.code === 'PROTOCOL_VIOLATION' && error.cause instanceof Error && !/JSON/.test(error.message))
      if (!/message|this version does not know/.test(error.message))
        this.#mistake ??= `The endpoint stumbled: ${error.message}`
  }

  /** What a program does. */
  async #use(program: EndpointProgram, groups: readonly string[]): Promise<void> {
    const random = this.#random
    if (program.status.failure !== undefined) return
    if (random.chance(0.4)) {
      const bytes = random.chance(0.2) ? random.integer(150_000, 600_000) : random.integer(0, 500)
      const route = this.#destinations.groups(
        random.pick(['produce', 'broadcast', 'unretained']),
        random.pick(['g', 'h', 'x']),
      )
      const sent = program.sender.send({ bytes: new Uint8Array(bytes) }, route, { transfer: false, replace: false })
      sent.catch((error: unknown) => this.#mind(error))
    }
    if (random.chance(0.3)) program.credit.notify({ [random.pick(groups)]: random.pick([-1, 1, 5]) })
    const { objects } = random.chance(0.4)
      ? await program.consumer.take(checkTakeOptions('all', {}, false))
      : { objects: [] }
    this.#counts.taken += objects.length
    await settle(this.#clock)
  }

  async #beRelay(program: EndpointProgram): Promise<void> {
    const random = this.#random
    const liar = this.#liar
    if (liar === undefined || liar.phase === 'closed' || liar.phase === 'proving') {
      this.#clock.advance(random.integer(0, 500))
      await settle(this.#clock)
      return
    }
    if (liar.phase === 'hello') {
      if (random.chance(0.15)) await this.#judge(program, liar, 'its WELCOME', welcomeLying(liar, random))
      else {
        welcomeRightly(liar, random)
        await settle(this.#clock)
        this.#checkClaims(program, liar)
      }
    } else if (random.chance(0.07)) {
      const [name, lie] = random.pick(lieTable)
      const isSure = !liar.hasLied && !liar.goodbyeHeard
      const verdict = lie(liar, random)
      if (verdict !== undefined) {
        this.#note(`lies: ${name}`)
        addTo(this.#counts.lies, name)
        if (verdict !== 'tolerated') liar.hasLied = true
        await this.#judge(program, liar, name, isSure ? verdict : 'either')
      }
    } else pickWeighted(random, liarHabits)(liar, random)
    if (random.chance(0.2)) this.#clock.advance(random.integer(0, random.chance(0.05) ? 12_000 : 50))
    await settle(this.#clock)
  }

  /** A program that does nothing else has said at once what it has. */
  #checkClaims({ status }: EndpointProgram, { awaitsClaims, reclaimEnds, transport }: Liar): void {
    if (!awaitsClaims || transport.closed || status.failure !== undefined) return
    if (reclaimEnds !== 1) fail(`The endpoint ended its claims ${reclaimEnds} times.`)
    this.#counts.awaited++
  }

  async #judge(program: EndpointProgram, liar: Liar, name: string, verdict: Verdict): Promise<void> {
    await settle(this.#clock)
    const { failure } = program.status
    if (liar.told !== undefined) addTo(this.#counts.refusals, liar.told)
    if (verdict === 'refused' && failure === undefined) fail(`The endpoint did not mind ${name}.`)
    if (verdict === 'refused' && liar.told === undefined) fail(`The endpoint did not say why it minded ${name}.`)
    if (verdict === 'tolerated' && liar.transport.closed) fail(`The endpoint minded ${name}: ${liar.told}`)
  }

  #checkBounds(program: EndpointProgram): void {
    const { inbox } = program.stats()
    if (inbox.bytes > INBOX_BYTES_MAX + 2 * OBJECT_BYTES_MAX) fail(`The inbox holds ${inbox.bytes} bytes.`)
  }
}
