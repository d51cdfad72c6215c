import { BodyAssembler } from '../../src/objects/bodyAssembler.ts'
import { ObjectDecoder } from '../../src/objects/decoder.ts'
import { ObjectEncoder } from '../../src/objects/encoder.ts'

const encoder = new ObjectEncoder()
const decoder = new ObjectDecoder()
const target = Buffer.from(new SharedArrayBuffer(1 << 20))

/** The bytes of a body, encoded into shared memory as an endpoint does. */
export function encode(object: unknown): Buffer {
  const end = encoder.encodeInto(object, target, 0)
  if (typeof end !== 'number') throw new Error('the object of the test is too large for its buffer')
  return Buffer.from(target.subarray(0, end))
}

/** The CBOR of an object without segments, in hex. */
export function encodeHex(object: unknown): string {
  return encode(object).subarray(1).toString('hex')
}

/** What a whole body stands for. */
export function decode(bytes: Buffer): unknown {
  return decoder.decode(bytes, 0, bytes.length)
}

/** What CBOR without segments stands for. */
export function decodeHex(hex: string): unknown {
  return decode(Buffer.from(`00${hex}`, 'hex'))
}

/** Through one contiguous piece of memory. */
export function throughMemory(object: unknown): unknown {
  return decode(encode(object))
}

/** Through parts that arrive in chunks of the given sizes, over and over; each second chunk repeats some bytes. */
export function throughParts(object: unknown, chunkSizes: readonly number[]): unknown {
  const { head, segments, byteLength } = encoder.encodeParts(object)
  const body = Buffer.concat([head, ...segments])
  const assembler = new BodyAssembler(byteLength)
  for (let offset = 0, count = 0; offset < body.length; count++) {
    const end = offset + (chunkSizes[count % chunkSizes.length] ?? body.length)
    const repeated = count % 2 === 0 ? offset : Math.max(0, offset - 3)
    assembler.writeAt(repeated, body.subarray(repeated, end))
    offset = end
  }
  return decoder.decodeParts(assembler.finish())
}
