/** What small objects are encoded into. */
const slabBytes = 64 * 1024

/** The built-in serializer: what fits the slab is encoded into it, the rest in parts, without a copy of large arrays. */
export async function makeCodec() {
  const { ObjectEncoder } = await import('../../dist/objects/encoder.js')
  const { ObjectDecoder } = await import('../../dist/objects/decoder.js')
  const encoder = new ObjectEncoder()
  const decoder = new ObjectDecoder()
  const slab = Buffer.allocUnsafeSlow(slabBytes)
  return {
    encode: (/** @type {object} */ object) => encoder.encodeInto(object, slab, 0),
    receive(/** @type {any} */ encoded) {
      if (typeof encoded === 'number') return Buffer.from(slab.subarray(0, encoded))
      const segments = encoded.segments.map((/** @type {Uint8Array} */ segment) => segment.slice().buffer)
      return { head: encoded.head, segments }
    },
    decode: (/** @type {any} */ received) =>
      Buffer.isBuffer(received) ? decoder.decode(received, 0, received.length) : decoder.decodeParts(received),
  }
}
