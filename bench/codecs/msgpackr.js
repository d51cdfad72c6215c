import { Packr } from 'msgpackr/index-no-eval'

/** @returns {import('./catalogue.js').Codec} */
export function makeCodec() {
  const codec = new Packr({ useRecords: false, moreTypes: true })
  return {
    encode: (object) => codec.pack(object),
    // What it returned lies in a buffer that the next encoding may reuse.
    receive: (encoded) => Buffer.from(encoded),
    decode: (received) => codec.unpack(received),
  }
}
