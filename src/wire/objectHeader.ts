import { createError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { checkExtensions, EXTENSIONS_HEAD_BYTES } from './extensions.ts'
import { FrameType } from './frameTypes.ts'
import { readUint16, readUint32, readUint48, readUint64, writeUint32, writeUint48, writeUint64 } from './integers.ts'

/**
 * The head of an OBJECT or STREAM_BEGIN frame (PROTOCOL.md, "Objects").
 *
 * ```
 *  0        4      5      6         7              8        12         18       24
 *  +--------+------+------+---------+--------------+--------+----------+--------+----------------+------
 *  | length | type | kind | attempt | destinations | source | sequence | sentAt | destination .. | body
 *  | u32    | u8   | u8   | u8      | u8           | u32    | u48      | u48    |                |
 *  +--------+------+------+---------+--------------+--------+----------+--------+----------------+------
 *  destination: u8 nameBytes, name in UTF-8, and u32 copies where kind is 2
 *  Where bit 7 of kind is set, before the body: u16 bytes of all extensions, and for each u16 type, u16 valueBytes, value
 *  In a STREAM_BEGIN, instead of the body: u32 stream, u64 bodyBytes; where kind is 4, no body
 * ```
 *
 * `attempt` and `source` are written by the relay, in place, so that a frame is forwarded as it came.
 */
export const OBJECT_HEAD_BYTES = 24
const SEQUENCE_AT = 12
const SENT_AT_AT = 18

/** The trailing fields of a STREAM_BEGIN: u32 stream, u64 bodyBytes. */
export const STREAM_BEGIN_TAIL_BYTES = 12

/** Set in the field `kind` of an object that has extensions. The other bits are its kind. */
export const HAS_EXTENSIONS = 0x80

export const ObjectKind = { BROADCAST: 0, PRODUCE: 1, PRODUCE_COPIES: 2, UNRETAINED: 3, CLEAR: 4 } as const

/**
 * To every member of some groups, retained for those that join later or not; into the queues of some groups; or no object at all, but
 * the wish that nothing is retained for them.
 */
export type RouteKind = 'broadcast' | 'produce' | 'unretained' | 'clear'

const kinds: readonly RouteKind[] = ['broadcast', 'produce', 'produce', 'unretained', 'clear']

/** Where an object goes. */
export interface Route {
  readonly kind: RouteKind
  readonly groups: readonly string[]
  /** How many copies each group gets; 1 each unless it is produced. */
  readonly copies: readonly number[]
}

/** A route as it stands in frames, made once and written many times. */
export function encodeRoute(route: Route): EncodedRoute {
  const withCopies = route.kind === 'produce' && route.copies.some((count) => count !== 1)
  const parts: Buffer[] = []
  for (const [index, group] of route.groups.entries()) {
    const name = Buffer.from(group, 'utf8')
    parts.push(Buffer.of(name.length), name)
    if (!withCopies) continue
    const copies = Buffer.alloc(4)
    writeUint32(copies, 0, route.copies[index] ?? 1)
    parts.push(copies)
  }
  const kind = withCopies ? ObjectKind.PRODUCE_COPIES : kinds.indexOf(route.kind)
  return { kind, count: route.groups.length, destinations: Buffer.concat(parts) }
}

export interface EncodedRoute {
  readonly kind: number
  readonly count: number
  readonly destinations: Buffer
}

/** Writes the head of an OBJECT or STREAM_BEGIN and returns where the body, or the stream fields, begin. */
export function writeObjectHead(
  target: Buffer,
  start: number,
  type: number,
  route: EncodedRoute,
  sequence: number,
  sentAtMs: number,
): number {
  target[start + 4] = type
  target[start + 5] = route.kind
  target[start + 6] = 0
  target[start + 7] = route.count
  writeUint32(target, start + 8, 0)
  writeUint48(target, start + SEQUENCE_AT, sequence)
  writeUint48(target, start + SENT_AT_AT, sentAtMs)
  const { destinations } = route
  const at = start + OBJECT_HEAD_BYTES
  // Names are short: a loop is faster than a call into native code.
  if (destinations.length > 64) target.set(destinations, at)
  else for (let index = 0; index < destinations.length; index++) target[at + index] = destinations[index] ?? 0
  return at + destinations.length
}

/** Writes a whole STREAM_BEGIN. */
export function encodeStreamBegin(
  route: EncodedRoute,
  sequence: number,
  sentAtMs: number,
  stream: number,
  bodyBytes: number,
): Buffer {
  const frame = Buffer.allocUnsafeSlow(OBJECT_HEAD_BYTES + route.destinations.length + STREAM_BEGIN_TAIL_BYTES)
  const at = writeObjectHead(frame, 0, FrameType.STREAM_BEGIN, route, sequence, sentAtMs)
  writeUint32(frame, 0, frame.length)
  writeUint32(frame, at, stream)
  writeUint64(frame, at + 4, bodyBytes)
  return frame
}

export function readSequence(buffer: Buffer, start: number): number {
  return readUint48(buffer, start + SEQUENCE_AT)
}

export function readSource(buffer: Buffer, start: number): number {
  return readUint32(buffer, start + 8)
}

export function readSentAt(buffer: Buffer, start: number): number {
  return readUint48(buffer, start + SENT_AT_AT)
}

export function readAttempt(buffer: Buffer, start: number): number {
  return buffer[start + 6] ?? 0
}

/** Stamps what only the relay knows into a frame that it forwards. */
export function stampSource(buffer: Buffer, start: number, source: number): void {
  writeUint32(buffer, start + 8, source)
}

export function stampAttempt(buffer: Buffer, start: number, attempt: number): void {
  buffer[start + 6] = Math.min(attempt, 255)
}

/** Whether an OBJECT or STREAM_BEGIN is of a produced object, which its receiver has on lease. */
export function isProduced(buffer: Buffer, start: number): boolean {
  const kind = kindAt(buffer, start)
  return kind === ObjectKind.PRODUCE || kind === ObjectKind.PRODUCE_COPIES
}

/** Whether an OBJECT or STREAM_BEGIN is of a broadcast that members to come get, too. */
export function isRetained(buffer: Buffer, start: number): boolean {
  return kindAt(buffer, start) === ObjectKind.BROADCAST
}

function kindAt(buffer: Buffer, start: number): number {
  return (buffer[start + 5] ?? 0) & ~HAS_EXTENSIONS
}

/** Where the body of an OBJECT, or the stream of a STREAM_BEGIN, begins. `route` was read from this very frame. */
export function contentStart(buffer: Buffer, start: number, route: ParsedRoute): number {
  const at = start + OBJECT_HEAD_BYTES + route.destinationBytes
  return route.hasExtensions ? at + EXTENSIONS_HEAD_BYTES + readUint16(buffer, at) : at
}

/** The last fields of a STREAM_BEGIN; `at` is where they begin. */
export function readStreamBeginTail(buffer: Buffer, at: number, end: number): { stream: number; bodyBytes: number } {
  const bodyBytes = readUint64(buffer, at + 4)
  if (end - at !== STREAM_BEGIN_TAIL_BYTES || !(bodyBytes >= 1))
    throw malformed('a STREAM_BEGIN of a wrong length or size')
  return { stream: readUint32(buffer, at), bodyBytes }
}

function malformed(what: string): Error {
  return createError('PROTOCOL_VIOLATION', `The peer sent ${what}.`)
}

/** A route read from a frame, and how many bytes its destinations take. */
export interface ParsedRoute extends Route {
  readonly destinationBytes: number
  /** Whether extensions follow. They differ from frame to frame of one route, and were checked. */
  readonly hasExtensions: boolean
}

/**
 * Whether a name that was decoded has the same bytes again: bytes that are no UTF-8 decode to U+FFFD, and two members
 * would not agree on whom the object is for.
 */
function isExactly(name: string, buffer: Buffer, at: number, nameBytes: number): boolean {
  if (Buffer.byteLength(name) !== nameBytes) return false
  return !name.includes('\ufffd') || buffer.subarray(at, at + nameBytes).equals(Buffer.from(name))
}

/** Parses the head of an OBJECT or STREAM_BEGIN, checking all of it. `isName` is the check of a group's name. */
export function parseRoute(buffer: Buffer, start: number, end: number, isName: (name: string) => boolean): ParsedRoute {
  const kind = kindAt(buffer, start)
  const hasExtensions = buffer[start + 5] !== kind
  const count = buffer[start + 7] ?? 0
  if (end - start < OBJECT_HEAD_BYTES) throw malformed('an object with a cut head')
  const routeKind = kinds[kind]
  if (routeKind === undefined || count === 0) throw malformed('an object of an unknown kind or without destination')
  const withCopies = kind === ObjectKind.PRODUCE_COPIES
  const groups: string[] = []
  const copies: number[] = []
  let at = start + OBJECT_HEAD_BYTES
  for (let index = 0; index < count; index++) {
    const nameBytes = buffer[at] ?? 0
    const next = at + 1 + nameBytes + (withCopies ? 4 : 0)
    if (nameBytes === 0 || next > end) throw malformed('an object with a cut destination')
    const name = buffer.toString('utf8', at + 1, at + 1 + nameBytes)
    if (!isName(name) || !isExactly(name, buffer, at + 1, nameBytes) || groups.includes(name))
      throw malformed('an object with a bad or repeated group name')
    groups.push(name)
    const copiesWanted = withCopies ? readUint32(buffer, at + 1 + nameBytes) : 1
    if (copiesWanted < 1 || copiesWanted > fixedLimits.countMax) throw malformed(`an object in ${copiesWanted} copies`)
    copies.push(copiesWanted)
    at = next
  }
  if (hasExtensions) checkExtensions(buffer, at, end)
  return { kind: routeKind, groups, copies, destinationBytes: at - start - OBJECT_HEAD_BYTES, hasExtensions }
}
