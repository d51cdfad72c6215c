import { RawRelay, settle, sharedAuthenticator } from '../../test/support/relayWorld.ts'
import { FakeClock } from '../clock.fixture.ts'
import { ObjectEncoder } from '../objects/encoder.ts'
import { createMemoryLink, type MemoryLink } from '../transport/memoryTransport.ts'
import {
  encodeChunkHead,
  encodeConfirm,
  encodeContext,
  encodeText,
  readCountOfGroup,
  readJson,
  readLeaseRange,
  readReclaim,
  readRelease,
} from '../wire/controlFrames.ts'
import { FrameType } from '../wire/frameTypes.ts'
import { writeUint32 } from '../wire/integers.ts'
import {
  encodeRoute,
  encodeStreamBegin,
  OBJECT_HEAD_BYTES,
  type Route,
  stampAttempt,
  stampSource,
  writeObjectHead,
} from '../wire/objectHeader.ts'
import { type OpenedProgram, openProgram } from './openedProgram.fixture.ts'
import type { Endpoint } from './program/endpoint.ts'
import type { EndpointOptions } from './program/endpointOptions.ts'

/** What a delivery of the relay by hand is stamped with. */
export interface Stamps {
  readonly kind?: Route['kind']
  readonly groups?: readonly string[]
  readonly source?: number
  readonly attempt?: number
  readonly groupIndex?: number
  readonly isDead?: boolean
}

const BASE = 2 ** 48

/** A number of a lease, in words: what was claimed from 2^48 on as `+0`, `+1`, ... */
function lease(number: number): string {
  return number >= BASE ? `+${number - BASE}` : `${number}`
}

/** An endpoint, all of it, and a relay that a test plays, which may be restarted as often as it likes. */
export class RestartedRelay {
  readonly clock: FakeClock = new FakeClock()
  readonly errors: Error[] = []
  readonly endpoint: Endpoint
  #relay: RawRelay | undefined
  #link: MemoryLink | undefined
  readonly #encoder = new ObjectEncoder()
  readonly #program: OpenedProgram
  #read = 0
  /** So many frames of the session had their effect. */
  #received = 0

  private constructor(
    options: Partial<EndpointOptions>,
    authenticator: Awaited<ReturnType<typeof sharedAuthenticator>>,
  ) {
    const { clock } = this
    const connect = async () => {
      this.#link = createMemoryLink({ schedule: (run) => clock.soon(run) })
      this.#relay = new RawRelay(this.#link.far, authenticator)
      this.#read = 0
      return this.#link.near
    }
    this.#program = openProgram(clock, connect, { groups: ['g', 'h', 'g.dead'], ...options })
    this.endpoint = this.#program.endpoint
    this.endpoint.on('error', (error) => this.errors.push(error))
  }

  /** A relay that has welcomed its endpoint for the first time. */
  static async open(
    welcome: Record<string, unknown> = {},
    options: Partial<EndpointOptions> = {},
  ): Promise<RestartedRelay> {
    const world = new RestartedRelay(options, await sharedAuthenticator())
    await world.settle()
    await world.welcome({ keepsLeases: true, ...welcome })
    await world.told()
    return world
  }

  get relay(): RawRelay {
    if (this.#relay === undefined) throw new Error('The endpoint did not connect.')
    return this.#relay
  }

  settle(): Promise<void> {
    return settle(this.clock)
  }

  /** The relay is killed, and there again when the endpoint asks; the HELLO that it says. */
  async restart(welcome: Record<string, unknown> = {}): Promise<Readonly<Record<string, unknown>>> {
    await this.settle()
    this.#link?.cut()
    await this.settle()
    this.clock.advance(100)
    await this.settle()
    const { bytes = Buffer.alloc(0) } = this.relay.frames[0] ?? {}
    await this.welcome({ keepsLeases: true, reclaims: true, receivedBefore: this.#received, ...welcome })
    this.#received = 0
    return readJson(bytes, 0, bytes.length)
  }

  async welcome(fields: Record<string, unknown>): Promise<void> {
    this.relay.transport.write(Buffer.concat([this.relay.welcome(fields), encodeConfirm(0, 8_388_608)]))
    await this.settle()
  }

  /** The program computes, and reads nothing that its I/O has for it. */
  set busy(busy: boolean) {
    this.#program.setBusy(busy)
  }

  /** The relay has received so many frames of the session, and no more before it is killed. */
  async confirm(frames: number): Promise<void> {
    this.#received = frames
    this.relay.transport.write(encodeConfirm(frames, 8_388_608))
    await this.settle()
  }

  async deliver(object: unknown, sequence: number, stamps: Stamps = {}): Promise<void> {
    const { kind = 'produce', groups = ['g'], source = 3, attempt = kind === 'produce' ? 1 : 0 } = stamps
    const { head, segments } = this.#encoder.encodeParts(object)
    const body = Buffer.concat([head, ...segments])
    const route = encodeRoute({ kind, groups, copies: groups.map(() => 1) })
    const frame = Buffer.alloc(OBJECT_HEAD_BYTES + route.destinations.length + body.length)
    body.copy(frame, writeObjectHead(frame, 0, FrameType.OBJECT, route, sequence, 0))
    writeUint32(frame, 0, frame.length)
    stampSource(frame, 0, source)
    stampAttempt(frame, 0, attempt)
    this.relay.transport.write(Buffer.concat([contextOf(stamps), frame]))
    await this.settle()
  }

  /** A large object; with `whole` false, without its last bytes. */
  async deliverLarge(object: unknown, sequence: number, whole: boolean, stamps: Stamps = {}): Promise<void> {
    const { kind = 'produce', groups = ['g'], source = 3 } = stamps
    const { head, segments, byteLength } = this.#encoder.encodeParts(object)
    const body = Buffer.concat([head, ...segments].map((part) => new Uint8Array(part)))
    const stream = sequence + 100
    const begin = encodeStreamBegin(encodeRoute({ kind, groups, copies: [1] }), sequence, 0, stream, byteLength)
    stampSource(begin, 0, source)
    stampAttempt(begin, 0, 1)
    this.relay.transport.write(begin)
    for (let at = 0; at < (whole ? body.length : body.length - 1); at += 60_000) {
      const part = body.subarray(at, Math.min(at + 60_000, whole ? body.length : body.length - 1))
      this.relay.transport.write(Buffer.concat([encodeChunkHead(stream, at, part.length), part]))
    }
    await this.settle()
  }

  async goodbye(): Promise<void> {
    this.relay.transport.write(encodeText(FrameType.GOODBYE, ''))
    await this.settle()
  }

  /** What the endpoint has said since this was asked the last time, in words; of its session only. */
  async told(): Promise<string[]> {
    await this.settle()
    const frames = this.relay.frames.slice(this.#read)
    this.#read = this.relay.frames.length
    return frames.flatMap(({ type, bytes }) => inWords(type, bytes))
  }

  /** The RECLAIM frames of the session as they came. */
  get reclaims(): string[] {
    return this.relay.frames.filter(({ type }) => type === FrameType.RECLAIM).map(({ bytes }) => bytes.toString('hex'))
  }
}

function contextOf({ groupIndex = 0, isDead = false }: Stamps): Buffer {
  return groupIndex === 0 && !isDead ? Buffer.alloc(0) : encodeContext(groupIndex, 0, isDead)
}

function inWords(type: number, bytes: Buffer): string[] {
  switch (type) {
    case FrameType.RECLAIM: {
      const claimed = readReclaim(bytes, 0, bytes.length)
      const { source, sequence, groupIndex, isDead, attempt, leaseNumber } = claimed
      const where = `${groupIndex === 0 ? '' : ` group ${groupIndex}`}${isDead ? ' dead' : ''}`
      return [`reclaim ${source}/${sequence}${where} attempt ${attempt} as ${lease(leaseNumber)}`]
    }
    case FrameType.ACKNOWLEDGE: {
      const { from, to } = readLeaseRange(bytes, 0, bytes.length)
      return [`acknowledge ${lease(from)} to ${lease(to)}`]
    }
    case FrameType.RELEASE: {
      const { from, to, attemptCounted } = readRelease(bytes, 0, bytes.length)
      return [`release${attemptCounted ? ' counted' : ''} ${lease(from)} to ${lease(to)}`]
    }
    case FrameType.NOTIFY: {
      const { group, count } = readCountOfGroup(bytes, 0, bytes.length)
      return [`notify ${group} ${count}`]
    }
    case FrameType.RECLAIM_END:
      return ['reclaim end']
    case FrameType.GOODBYE:
      return ['goodbye']
    default:
      return []
  }
}
