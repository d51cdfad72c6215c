// raw2 is the practical limit: what is left when a system does nothing but encode, encrypt, forward and decode.
import { Packr } from 'msgpackr/index-no-eval'
import { connect } from './link.js'
import { startRelay } from './relay.js'

/** @type {import('../../harness/types.js').Driver} */
export const driver = {
  keepsObjects: false,
  makesGroups: false,
  objectBytesMax: 64 * 1024 * 1024,
  startRelay,
  connect,
  async codec() {
    const codec = new Packr({ useRecords: false, moreTypes: true })
    return {
      encode: (object) => codec.pack(object),
      // What it returned lies in a buffer that the next encoding may reuse.
      receive: (encoded) => Buffer.from(encoded),
      decode: (received) => codec.unpack(received),
    }
  },
}
