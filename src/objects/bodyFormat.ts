/**
 * The body of an object on the wire. All numbers are little-endian.
 *
 * ```
 * form 0: an encoding             form 1: an encoding with segments        form 2: a serializer of the user's own
 *
 *  0      1                        0      1         4               8       0      1
 * +------+-----------+            +------+---------+---------------+       +------+-----------+
 * | 0    | CBOR ...  |            | 1    | 0  0  0 | segmentCount  |       | 2    | bytes ... |
 * +------+-----------+            +------+---------+---------------+       +------+-----------+
 *                                 | cborBytes: u64                 |  8
 *                                 +--------------------------------+
 *                                 | length of segment 0: u64       | 16
 *                                 | length of segment 1: u64       | 24
 *                                 | ...                            |
 *                                 +--------------------------------+
 *                                 | CBOR ...                       | 16 + 8 * segmentCount
 *                                 +--------------------------------+
 *                                 | segment 0 ...                  |
 *                                 | segment 1 ...                  |
 *                                 +--------------------------------+
 * ```
 *
 * A segment is the memory of one large array. In the CBOR stands tag 0x6f626a00 around its number, where the byte string
 * would be; each segment is referred to exactly once. The lengths add up to the body, with nothing behind it.
 */
import { createError, type ObjectRelayError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'

export const bodyForm = { plain: 0, segmented: 1, own: 2 } as const

/** Bytes in front of the CBOR when there are no segments. */
export const plainHeaderBytes = 1

const fixedHeaderBytes = 16
const lengthBytes = 8
const twoTo32 = 0x1_0000_0000

/** Bytes in front of the CBOR. */
export function headerBytes(segmentCount: number): number {
  return segmentCount === 0 ? plainHeaderBytes : fixedHeaderBytes + lengthBytes * segmentCount
}

/** Writes the header of form 1; the caller made room for it. */
export function writeSegmentedHeader(
  target: Buffer,
  start: number,
  cborBytes: number,
  segments: readonly Uint8Array[],
): void {
  target.writeUInt32LE(bodyForm.segmented, start)
  target.writeUInt32LE(segments.length, start + 4)
  writeLength(target, start + 8, cborBytes)
  let position = start + fixedHeaderBytes
  for (const segment of segments) {
    writeLength(target, position, segment.byteLength)
    position += lengthBytes
  }
}

function writeLength(target: Buffer, position: number, length: number): void {
  target.writeUInt32LE(length % twoTo32, position)
  target.writeUInt32LE(Math.floor(length / twoTo32), position + 4)
}

/** An error about bytes that are not what they should be. `what` is a sentence without its full stop. */
export function malformed(what: string, offset: number, cause?: unknown): ObjectRelayError {
  return createError(
    'NOT_DESERIALIZABLE',
    `Cannot decode an object: ${what}, at byte ${offset} of its encoding. Its sender uses a broken or incompatible encoder.`,
    { details: { offset }, ...(cause === undefined ? {} : { cause }) },
  )
}

/** Where the parts of a body lie, relative to its start. */
export interface SegmentedLayout {
  readonly cborStart: number
  readonly cborEnd: number
  readonly lengths: readonly number[]
}

/**
 * Bytes of the header whose fixed part lies at `start`. Throws when the count is beyond the bound or does not fit a body
 * of `bodyBytes`.
 */
export function segmentedHeaderBytes(bytes: Buffer, start: number, bodyBytes: number): number {
  if (bodyBytes < fixedHeaderBytes) throw malformed('the header is cut off', bodyBytes)
  if (bytes.readUInt32LE(start) !== bodyForm.segmented) throw malformed('reserved bytes of the header are not zero', 1)
  const count = bytes.readUInt32LE(start + 4)
  if (count === 0 || count > fixedLimits.segmentsMax) {
    throw malformed(`it declares ${count} segments; 1 to ${fixedLimits.segmentsMax} are possible`, 4)
  }
  const total = headerBytes(count)
  if (total > bodyBytes) throw malformed(`it declares ${count} segments, whose table does not fit`, 4)
  return total
}

/** Reads the whole header of form 1 and checks that all lengths add up to `bodyBytes`. */
export function readSegmentedLayout(bytes: Buffer, start: number, bodyBytes: number): SegmentedLayout {
  const cborStart = segmentedHeaderBytes(bytes, start, bodyBytes)
  const cborEnd = cborStart + readLength(bytes, start, 8, bodyBytes)
  const lengths: number[] = []
  let total = cborEnd
  for (let position = fixedHeaderBytes; position < cborStart; position += lengthBytes) {
    const length = readLength(bytes, start, position, bodyBytes)
    lengths.push(length)
    total += length
  }
  if (total !== bodyBytes) throw malformed(`its parts add up to ${total} bytes, but it has ${bodyBytes}`, 8)
  return { cborStart, cborEnd, lengths }
}

function readLength(bytes: Buffer, start: number, offset: number, bodyBytes: number): number {
  const length = bytes.readUInt32LE(start + offset + 4) * twoTo32 + bytes.readUInt32LE(start + offset)
  if (length > bodyBytes) throw malformed(`it declares a part of ${length} bytes in a body of ${bodyBytes}`, offset)
  return length
}

/** Bytes of the fixed part of the header of form 1. */
export const segmentedFixedBytes: number = fixedHeaderBytes
