// NATS core: the server hands each message to whoever is subscribed at that moment, and confirms nothing.
import { Intake } from '../intake.js'
import { decode, encode } from './codec.js'
import { missing, openConnection, startRelay } from './natsServer.js'

/** What is sent before the sender asks the server whether it has come that far. */
const unflushedBytesMax = 1024 * 1024
/** Questions on their way at once. */
const flushesMax = 2

/**
 * @param {{ port: number, certificate: string }} address
 * @param {import('../../harness/types.js').LinkOptions} link
 * @returns {Promise<import('../../harness/types.js').Link>}
 */
async function connect(address, { receives = [], sendsTo = '', listens = false }) {
  const connection = await openConnection(address)
  const intake = new Intake()
  for (const group of [receives].flat()) {
    const callback = (/** @type {unknown} */ error, /** @type {{ data: Uint8Array }} */ { data }) => {
      if (error) intake.fail(error)
      else intake.hand(decode(data))
    }
    if (listens) connection.subscribe(`b.${group}`, { callback })
    else connection.subscribe(`q.${group}`, { queue: 'members', callback })
  }
  await connection.flush()

  let unflushedBytes = 0
  /** @type {Promise<void>[]} */
  const flushes = []
  const publish = (/** @type {string} */ subject, /** @type {unknown} */ object) => {
    const payload = encode(object)
    connection.publish(subject, payload)
    unflushedBytes += payload.length
    return undefined
  }
  return {
    produce: (object) => publish(`q.${sendsTo}`, object),
    broadcast: (object) => publish(`b.${sendsTo}`, object),
    room() {
      if (unflushedBytes < unflushedBytesMax) return undefined
      unflushedBytes = 0
      flushes.push(connection.flush())
      return flushes.length < flushesMax ? undefined : flushes.shift()
    },
    consume: intake.take,
    listen: intake.take,
    stop: () => connection.close(),
  }
}

/** @type {import('../../harness/types.js').Driver} */
export const driver = {
  keepsObjects: false,
  makesGroups: false,
  isDurable: false,
  objectBytesMax: 64 * 1024 * 1024,
  missing,
  startRelay: () => startRelay(),
  connect,
}
