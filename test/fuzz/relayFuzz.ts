import { FakeClock } from '../../src/clock.fixture.ts'
import { fixedLimits, type RelayLimits } from '../../src/limits.ts'
import type { RelayEventMessage } from '../../src/relay/relayEvents.ts'
import type { MemoryLink } from '../../src/transport/memoryTransport.ts'
import { SeededRandom } from '../simulation/random.ts'
import { fuzzLimits, fuzzLink, type Keyring, OneTicket, sharedKeyring, ticketProof } from './channel.ts'
import { claimLies } from './claimLies.ts'
import { addTo, type FuzzCounts, type FuzzOptions } from './counts.ts'
import { fail } from './failure.ts'
import { FuzzIo } from './fuzzIo.ts'
import { FuzzRelay } from './fuzzRelay.ts'
import { Neighbours } from './neighbours.ts'
import { Peer } from './peer.ts'
import { greetLying, greetRightly } from './peerGreetings.ts'
import { habits, pickWeighted } from './peerHabits.ts'
import { type Lie, lies, type Verdict } from './peerLies.ts'

const PEERS_AT_ONCE = 6
/** Turns after which nothing is under way any more, whoever was to do it. */
const QUIET_TURNS = 6
const boundedGroups = {
  g: {},
  h: {},
  full: { maxConsumables: 3 },
  tight: { maxConsumables: 5, overflow: 'reject' as const },
  drop: { maxConsumables: 4, overflow: 'drop-oldest' as const },
  safe: {},
}
const lieTable: readonly (readonly [string, Lie])[] = Object.entries(lies)
const claimTable: readonly (readonly [string, Lie])[] = Object.entries(claimLies)

/** What a run begins with. */
interface FuzzParts {
  readonly random: SeededRandom
  readonly clock: FakeClock
  readonly keyring: Keyring
  readonly limits: RelayLimits
  readonly relay: FuzzRelay
  /** Who is told what the relay says. */
  readonly heard: { event(event: RelayEventMessage): void }
}

async function startParts(seed: number): Promise<FuzzParts> {
  const random = new SeededRandom(seed)
  const clock = new FakeClock()
  const keyring = await sharedKeyring()
  const limits = fuzzLimits(random)
  const isDurable = random.chance(0.5)
  const acceptedGroups = random.chance(0.3) ? null : boundedGroups
  const heard = { event: (_: RelayEventMessage): void => undefined }
  const emit = (event: RelayEventMessage): void => heard.event(event)
  const relay = await FuzzRelay.start({ clock, keyring, options: { acceptedGroups, limits }, isDurable, emit })
  return { random, clock, keyring, limits, relay, heard }
}

/** One relay, two neighbours, and peers that come, keep the rules for a while, break them, and go. */
export class RelayFuzz {
  readonly #random: SeededRandom
  readonly #clock: FakeClock
  readonly #keyring: Keyring
  readonly #limits: RelayLimits
  readonly #relay: FuzzRelay
  readonly #neighbours: Neighbours
  readonly #counts: FuzzCounts
  readonly #peers: Peer[] = []
  /** That may stand still. */
  readonly #links = new Set<MemoryLink>()
  readonly #note: (what: string) => void
  #mistake: string | undefined

  private constructor(seed: number, parts: FuzzParts, { counts, note = () => undefined }: FuzzOptions) {
    const { clock, keyring, limits, random } = parts
    this.#random = random
    this.#clock = clock
    this.#keyring = keyring
    this.#limits = limits
    this.#counts = counts
    this.#note = note
    this.#relay = parts.relay
    parts.heard.event = (event) => this.#event(event)
    const io = new FuzzIo({ clock, tickets: new OneTicket(keyring), connect: () => this.#connect().near })
    this.#neighbours = new Neighbours(io, 1, () => this.#relay.settle(QUIET_TURNS))
    note(`seed ${seed}: a ${this.#relay.isDurable ? 'durable relay' : 'relay'}`)
  }

  /** Runs so many peers against a relay; throws what went wrong. */
  static async run(seed: number, peers: number, options: FuzzOptions): Promise<void> {
    const fuzz = new RelayFuzz(seed, await startParts(seed), options)
    await fuzz.#relay.settle(QUIET_TURNS)
    for (let left = peers; left > 0; ) {
      while (left > 0 && fuzz.#peers.length < PEERS_AT_ONCE) {
        fuzz.#arrive()
        left--
      }
      await fuzz.#round()
      if (left % 500 === 0 && left < peers) await options.measure?.(fuzz.#relay.server.stats().keptBytes)
    }
    for (let left = 30; left > 0 && fuzz.#peers.length > 0; left--) await fuzz.#round()
    await fuzz.#end()
  }

  #connect(): MemoryLink {
    const link = fuzzLink((run) => this.#clock.soon(run), this.#random)
    this.#links.add(link)
    this.#relay.server.admit({ transport: link.far, reached: () => undefined, authenticated: () => undefined })
    return link
  }

  #arrive(): void {
    const random = this.#random
    const session = Buffer.from(Array.from({ length: 16 }, () => random.integer(0, 255))).toString('base64url')
    const identity = {
      session,
      groups: random.chance(0.1) ? [] : random.some(['g', 'h', 'full', 'tight', 'drop'], 0.5),
      broadcasts: random.pick(['every', 'latest'] as const),
      inboxBytes: random.pick([1, 1_000, 100_000, 10_000_000, Number.MAX_SAFE_INTEGER]),
      reclaims: random.chance(0.7),
    }
    const peer = new Peer(identity, this.#connect(), ticketProof(this.#keyring))
    peer.begin()
    this.#counts.peers++
    this.#peers.push(peer)
  }

  async #round(): Promise<void> {
    for (const peer of [...this.#peers]) await this.#act(peer)
    if (this.#relay.isDurable && this.#random.chance(0.06)) await this.#restart()
    if (this.#random.chance(0.3)) this.#clock.advance(this.#random.integer(0, this.#random.chance(0.1) ? 4_000 : 60))
    this.#checkBounds()
    if (this.#random.chance(0.1)) await this.#neighbours.exchange(this.#random.pick([0, 100, 5_000, 200_000]))
    if (this.#mistake !== undefined) fail(this.#mistake)
  }

  /** The relay is killed in the middle of what it does, and started again. */
  async #restart(): Promise<void> {
    const random = this.#random
    // So that some have something on lease.
    for (let left = 8; left > 0; left--) {
      for (const peer of this.#peers) if (peer.phase === 'open') pickWeighted(random, habits)(peer, random)
      if (left > 1) await this.#relay.settle()
    }
    for (let left = random.integer(0, 5); left > 0; left--) this.#clock.step()
    this.#note('the relay is killed')
    this.#neighbours.expectRestart()
    const links = [...this.#links]
    this.#links.clear()
    await this.#relay.restart(random.integer(0, this.#relay.waitingCommits))
    for (const link of links) link.cut()
    await this.#relay.settle(QUIET_TURNS)
    for (let left = 60; left > 0 && !this.#neighbours.areConnected; left--) {
      this.#clock.advance(100)
      await this.#relay.settle(QUIET_TURNS)
    }
    if (!this.#neighbours.areConnected) fail('The neighbours do not come back.')
    this.#counts.restarts++
  }

  async #act(peer: Peer): Promise<void> {
    const random = this.#random
    await this.#relay.settle()
    if (peer.phase === 'closed') this.#mayComeBack(peer)
    else if (peer.phase === 'greeting') {
      const verdict = random.chance(0.15) ? greetLying(peer, random, this.#peers) : greetRightly(peer, random)
      await this.#judge(peer, 'its greeting', verdict)
      if (peer.reclaimDue) this.#counts.awaited++
    } else if (peer.phase === 'open') await this.#speak(peer)
    await this.#relay.settle()
  }

  async #speak(peer: Peer): Promise<void> {
    const random = this.#random
    if (!random.chance(0.12)) {
      pickWeighted(random, habits)(peer, random)
      return
    }
    // Who does not read has not heard yet that its link is over.
    peer.link.near.resume()
    await this.#relay.settle()
    if (peer.phase !== 'open') return
    // Claims have an occasion now and then only.
    const [name, lie] = random.pick(peer.reclaimDue && random.chance(0.5) ? claimTable : lieTable)
    const before = peer.sentFrames
    // What came before may have been half a frame, for whose end the relay takes whatever comes.
    const isSure = !peer.hasLied && !peer.goodbyeSaid
    const verdict = lie(peer, random, this.#peers)
    if (verdict === undefined) return
    this.#note(`${peer.identity.session.slice(0, 4)} lies: ${name}`)
    addTo(this.#counts.lies, name)
    if (verdict !== 'tolerated') peer.hasLied = true
    this.#counts.frames += peer.sentFrames - before
    await this.#judge(peer, name, isSure ? verdict : 'either')
  }

  /** Whether the relay did what it has to do about a lie. */
  async #judge(peer: Peer, name: string, verdict: Verdict): Promise<void> {
    const { near } = peer.link
    if (verdict !== 'tolerated') near.resume()
    await this.#relay.settle()
    const isOver = near.closed
    if (peer.told !== undefined) addTo(this.#counts.refusals, peer.told)
    if (verdict === 'refused' && !isOver) fail(`The relay did not mind ${name}.`)
    if (verdict === 'refused' && peer.told === undefined) fail(`The relay did not say why it minded ${name}.`)
    if (verdict === 'tolerated' && isOver) fail(`The relay minded ${name}: ${peer.told}`)
  }

  /** Comes back to its session, or leaves it behind. */
  #mayComeBack(peer: Peer): void {
    if (this.#random.chance(0.3)) {
      this.#peers.splice(this.#peers.indexOf(peer), 1)
      return
    }
    peer.reconnect(this.#connect(), ticketProof(this.#keyring))
  }

  #checkBounds(): void {
    const { keptBytes, sessions, groups } = this.#relay.server.stats()
    const { relayBytesMax, memberBacklogBytesMax, objectBytesMax, endpointsMax, groupBytesMax, groupsMax } =
      this.#limits
    atMost('kept bytes', keptBytes, relayBytesMax)
    atMost('sessions', sessions.length, endpointsMax)
    atMost('groups', Object.keys(groups).length, groupsMax)
    for (const { backlogBytes } of sessions) atMost('backlog', backlogBytes, memberBacklogBytesMax + objectBytesMax)
    for (const { waitingBytes, leasedBytes } of Object.values(groups))
      atMost('bytes of a group', waitingBytes + leasedBytes, groupBytesMax)
    for (const { link } of this.#peers)
      atMost('bytes under way', link.far.pendingBytes, fixedLimits.linkPendingBytesMax + 256 * 1024)
    for (const link of this.#links) if (link.near.closed && link.far.closed) this.#links.delete(link)
  }

  /** All peers are gone without a word: what they had must go with them. */
  async #end(): Promise<void> {
    for (const { link } of this.#peers) link.cut()
    await this.#relay.settle(QUIET_TURNS)
    for (let left = 8; left > 0; left--) {
      this.#clock.advance(1_500)
      await this.#relay.settle(QUIET_TURNS)
    }
    await this.#neighbours.exchange(10)
    const { sessions, groups, keptBytes, endpoints } = this.#relay.server.stats()
    if (endpoints.connected !== 2 || endpoints.away !== 0) fail(`${endpoints.connected} endpoints are left of 2.`)
    let explained = 0
    for (const group of Object.values(groups)) {
      if (group.leased + group.demand + group.blockedSenders > 0) fail(`Something is left: ${JSON.stringify(group)}`)
      explained += group.waitingBytes + Math.max(0, group.lastBroadcastBytes)
    }
    for (const session of sessions)
      if (session.backlog + session.heldBytes + session.largeObjects + session.leased > 0)
        fail(`Something is left: ${JSON.stringify(session)}`)
    atMost('bytes that nothing explains', keptBytes, explained)
    if (this.#mistake !== undefined) fail(this.#mistake)
    this.#counts.exchanged += this.#neighbours.exchanged
    await this.#neighbours.stop((ms) => this.#clock.advance(ms))
  }

  /** A mistake of the relay itself looks like one of the peer; its cause tells. */
  #event({ name, value }: RelayEventMessage): void {
    this.#note(`${name} ${JSON.stringify(value).slice(0, 300)}`)
    if (name === 'error') this.#mistake ??= `The relay failed: ${value.error.message}`
    if (name !== 'endpointLost' && name !== 'endpointRefused') return
    const { code, cause, message } = value.error
    if (message.length > 2_000) this.#mistake ??= `An error has ${message.length} characters.`
    if (code === 'PROTOCOL_VIOLATION' && cause !== undefined && !/JSON/.test(message))
      this.#mistake ??= `The relay stumbled: ${message}`
  }
}

function atMost(what: string, value: number, max: number): void {
  if (value > max) fail(`${what}: ${value} of at most ${max}`)
}
