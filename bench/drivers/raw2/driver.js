// raw2 is the practical limit: what is left when a system does nothing but encode, encrypt, forward and decode.
import { connect } from './link.js'
import { startRelay } from './relay.js'

/** @type {import('../../harness/types.js').Driver} */
export const driver = {
  keepsObjects: false,
  makesGroups: false,
  objectBytesMax: 64 * 1024 * 1024,
  startRelay,
  connect,
}
