import type { DeadLetter } from '../../deadLetter.ts'
import type { PlainError } from '../../errors.ts'
import { ObjectDecoder } from '../../objects/decoder.ts'
import { ObjectEncoder } from '../../objects/encoder.ts'
import type { Serializer } from '../../objects/serializer.ts'
import {
  encodeAccepted,
  encodeContext,
  encodeJson,
  encodeRejected,
  encodeText,
  type ReleaseTerms,
  readCountOfGroup,
  readJson,
} from '../../wire/controlFrames.ts'
import { type Extension, withExtensions } from '../../wire/extensions.fixture.ts'
import { FrameType } from '../../wire/frameTypes.ts'
import { readUint32, writeUint32 } from '../../wire/integers.ts'
import {
  contentStart,
  encodeRoute,
  encodeStreamBegin,
  OBJECT_HEAD_BYTES,
  parseRoute,
  type Route,
  readSequence,
  readStreamBeginTail,
  stampAttempt,
  writeObjectHead,
} from '../../wire/objectHeader.ts'
import type { EndpointConfiguration, EndpointState } from '../jsonRecords.ts'
import {
  encodeLeaseNumber,
  LeaseAction,
  RecordType,
  readHanded,
  readSettledLeases,
  readTakenBytes,
  type SettledLeases,
} from '../records.ts'
import { createPortPair } from '../threads/portPair.ts'
import type { RecordPort } from '../threads/recordPort.ts'
import { type EndpointRecords, EndpointTable, type Io } from './io.ts'

/** An object that the program sent. */
export interface SentObject {
  sequence: number
  route: Route
  object: unknown
  frame: Buffer
  parts: readonly ArrayBuffer[] | undefined
}

export interface DeliveryScript {
  kind?: 'broadcast' | 'produce'
  group?: string
  groups?: string[]
  attempt?: number
  skipped?: number
  groupIndex?: number
  isDead?: boolean
  deadLetter?: DeadLetter
  /** Of each object in a row; none of those beyond. */
  extensions?: readonly (readonly Extension[])[]
}

const leaseActions = new Map<number, string>([
  [LeaseAction.ACKNOWLEDGE, 'acknowledge'],
  [LeaseAction.RELEASE, 'release'],
  [LeaseAction.RELEASE_COUNTED, 'release counted'],
  [LeaseAction.RELEASE_FINAL, 'release final'],
])

/** What was sent with a serializer of the test's own is read as a text. */
const textSerializer: Serializer = {
  serialize: (object) => Buffer.from(String(object)),
  deserialize: (bytes) => Buffer.from(bytes).toString(),
}

/** The I/O of endpoints in tests: remembers what the program wrote, and writes what the test tells it to. */
export class ScriptedIo implements Io {
  readonly port: RecordPort
  canBlock = false
  configuration: EndpointConfiguration | undefined
  readonly sent: SentObject[] = []
  /** Each as `group count`. */
  readonly asked: string[] = []
  /** Each as `action from-to of epoch`. */
  readonly leases: string[] = []
  /** How leases were given back whose attempt counts. */
  readonly releases: ReleaseTerms[] = []
  /** Each as `lease of epoch`. */
  readonly handed: string[] = []
  readonly taken: number[] = []
  stopDeadlineMs: number | undefined
  removed = false
  answersStop = true
  readonly #table = new EndpointTable()
  readonly #io: RecordPort
  readonly #encoder = new ObjectEncoder()
  readonly #decoder = new ObjectDecoder({ serializer: textSerializer })
  #attachments = 0

  constructor() {
    const record = (_endpoint: number, buffer: Buffer, start: number, end: number) => this.#record(buffer, start, end)
    const { program, io } = createPortPair(this.#table, { record })
    this.port = program
    this.#io = io
  }

  flush(): boolean {
    return true
  }

  add(endpoint: EndpointRecords): number {
    return this.#table.add(endpoint)
  }

  remove(id: number): void {
    this.removed = true
    this.#table.remove(id)
  }

  keepAlive(id: number, isKept: boolean): void {
    this.#table.keepAlive(id, isKept)
  }

  fail(error: Parameters<EndpointRecords['failed']>[0]): void {
    this.#table.failAll(error)
  }

  #record(buffer: Buffer, start: number, end: number): void {
    switch (buffer[start + 4]) {
      case RecordType.OPEN:
        // Written by checkEndpointOptions.
        this.configuration = readJson(buffer, start, end) as unknown as EndpointConfiguration
        return
      case FrameType.OBJECT:
      case FrameType.STREAM_BEGIN:
        for (let at = start; at < end; at += readUint32(buffer, at)) {
          this.sent.push(this.#readObject(Buffer.from(buffer.subarray(at, at + readUint32(buffer, at)))))
        }
        return
      case FrameType.NOTIFY: {
        const { group, count } = readCountOfGroup(buffer, start, end)
        this.asked.push(`${group} ${count}`)
        return
      }
      case RecordType.SETTLED: {
        const leases = readSettledLeases(buffer, start, end)
        if (leases !== undefined) this.#settled(leases)
        const takenBytes = readTakenBytes(buffer, start)
        if (takenBytes !== this.taken.at(-1)) this.taken.push(takenBytes)
        return
      }
      case RecordType.HANDED: {
        const { epoch, leaseNumber, takenBytes } = readHanded(buffer, start)
        this.handed.push(`${leaseNumber} of ${epoch}`)
        this.taken.push(takenBytes)
        return
      }
      case RecordType.CLAIM:
        return
      case RecordType.STOP:
        this.stopDeadlineMs = Number(readJson(buffer, start, end).deadlineMs)
        if (this.answersStop) this.stopped()
        return
    }
    throw new Error(`a record of type ${buffer[start + 4]}`)
  }

  #settled({ action, epoch, from, to, terms }: SettledLeases): void {
    this.leases.push(`${leaseActions.get(action)} ${from}-${to} of ${epoch}`)
    if (terms?.attemptCounted === true) this.releases.push(terms)
  }

  #readObject(frame: Buffer): SentObject {
    const route = parseRoute(frame, 0, frame.length, () => true)
    const bodyAt = contentStart(frame, 0, route)
    const sequence = readSequence(frame, 0)
    if (frame[4] === FrameType.OBJECT) {
      const object = this.#decoder.decode(frame, bodyAt, frame.length)
      return { sequence, route, object, frame, parts: undefined }
    }
    const { stream } = readStreamBeginTail(frame, bodyAt, frame.length)
    const parts = this.#io.waker.takeAttachment(stream)
    const [head = new ArrayBuffer(0), ...segments] = parts
    return {
      sequence,
      route,
      object: this.#decoder.decodeParts({ head: new Uint8Array(head), segments }),
      frame,
      parts,
    }
  }

  write(record: Buffer): void {
    this.#io.write(1, record, 0, record.length)
  }

  state(state: Partial<EndpointState> & Pick<EndpointState, 'state'>): void {
    this.write(encodeJson(RecordType.STATE, { attempt: 1, epoch: 1, resumed: false, ...state }))
  }

  connected(epoch = 1, more: Partial<EndpointState> = {}): void {
    this.state({ state: 'connected', epoch, relayLimits: {}, ...more })
  }

  accept(from: number, to: number, memberCounts: number[] = [1]): void {
    this.write(encodeAccepted(from, to, memberCounts))
  }

  reject(sequence: number, error: PlainError): void {
    this.write(encodeRejected(sequence, error))
  }

  text(type: number, text: string): void {
    this.write(encodeText(type, text))
  }

  notice(error: PlainError): void {
    this.write(encodeJson(RecordType.NOTICE, error))
  }

  leaseNumber(number: number): void {
    this.write(encodeLeaseNumber(number))
  }

  deliver(object: unknown, script: DeliveryScript = {}): number {
    return this.deliverBody(this.#encode(object), script)
  }

  /** Delivers a body as it is; returns the bytes of its frame. */
  deliverBody(body: Buffer, script: DeliveryScript = {}): number {
    this.#context(script)
    const frame = this.#frame(body, script)
    this.write(frame)
    return frame.length
  }

  /** Delivers objects in one copy, as what came in a row; returns their bytes. */
  deliverRun(objects: readonly unknown[], script: DeliveryScript = {}): number {
    this.#context(script)
    const frames = objects.map((object, index) => this.#frame(this.#encode(object), script, index))
    this.write(Buffer.concat(frames))
    return frames.reduce((bytes, frame) => bytes + frame.length, 0)
  }

  #encode(object: unknown): Buffer {
    const { head, segments } = this.#encoder.encodeParts(object)
    return Buffer.concat([head, ...segments])
  }

  #frame(body: Buffer, script: DeliveryScript, index = 0): Buffer {
    const { kind = 'produce', group = 'g', groups = [group], attempt = 1, extensions = [] } = script
    const route = encodeRoute({ kind, groups, copies: groups.map(() => 1) })
    const frame = Buffer.alloc(OBJECT_HEAD_BYTES + route.destinations.length + body.length)
    body.copy(frame, writeObjectHead(frame, 0, FrameType.OBJECT, route, 7, 1_700_000_000_000))
    writeUint32(frame, 0, frame.length)
    stampAttempt(frame, 0, attempt)
    return extended(frame, extensions[index])
  }

  deliverLarge(object: unknown, script: DeliveryScript = {}): number {
    const { kind = 'produce', group = 'g', extensions = [] } = script
    this.#context(script)
    const { head, segments, byteLength } = this.#encoder.encodeParts(object)
    const buffers = [head, ...segments].map((part) => new Uint8Array(part).buffer)
    const id = ++this.#attachments
    this.#io.waker.sendAttachment(id, buffers)
    const frame = encodeStreamBegin(encodeRoute({ kind, groups: [group], copies: [1] }), 8, 1, id, byteLength)
    stampAttempt(frame, 0, 1)
    this.write(extended(frame, extensions[0]))
    return byteLength
  }

  #context({ groupIndex = 0, skipped = 0, isDead = false, deadLetter }: DeliveryScript): void {
    if (groupIndex > 0 || skipped > 0 || isDead) this.write(encodeContext(groupIndex, skipped, isDead, deadLetter))
  }

  /** Gives an object back as undelivered. */
  giveBack({ frame, parts }: SentObject): void {
    this.write(encodeJson(RecordType.RETURNED, {}))
    if (parts !== undefined) this.#io.waker.sendAttachment(frame.readUInt32LE(frame.length - 12), parts)
    this.write(frame)
  }

  stopped(returned = 0, deadlineReached = false): void {
    this.write(encodeJson(RecordType.STOPPED, { returned, deadlineReached }))
  }
}

function extended(frame: Buffer, extensions: readonly Extension[] = []): Buffer {
  return extensions.length === 0 ? frame : withExtensions(frame, ...extensions)
}

/** Lets everything that is on its way in this process arrive. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
