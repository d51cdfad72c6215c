import { Encoder } from 'cbor-x/index-no-eval'

/** @returns {import('./catalogue.js').Codec} */
export function makeCodec() {
  const codec = new Encoder({ useRecords: false, structuredClone: false })
  return {
    encode: (object) => codec.encode(object),
    // What it returned lies in a buffer that the next encoding may reuse.
    receive: (encoded) => Buffer.from(encoded),
    decode: (received) => codec.decode(received),
  }
}
