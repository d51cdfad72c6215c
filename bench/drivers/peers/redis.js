// A Redis list as a queue, and its publish/subscribe for broadcasts. What was taken is gone: nothing is acknowledged.
import { Intake } from '../intake.js'
import { decode, encode } from './codec.js'
import { inBatches, missing, openConnection, startRelay } from './redisServer.js'

/** Objects taken with one command. */
const takeBatch = 500

/** @typedef {import('ioredis').Redis} Redis */

/**
 * @param {Redis} redis
 * @param {string[]} groups
 * @param {Intake} intake
 * @param {() => boolean} isStopped
 */
async function takeAll(redis, groups, intake, isStopped) {
  const keys = groups.map((group) => `q:${group}`)
  try {
    while (intake.left > 0) {
      const taken = await redis.blmpopBuffer(0, keys.length, keys, 'LEFT', 'COUNT', takeBatch)
      for (const bytes of taken?.[1] ?? []) intake.hand(decode(bytes))
    }
  } catch (error) {
    if (!isStopped()) intake.fail(error)
  }
}

/**
 * @param {{ port: number, certificate: string }} address
 * @param {import('../../harness/types.js').LinkOptions} link
 * @returns {Promise<import('../../harness/types.js').Link>}
 */
async function connect(address, { receives = [], sendsTo = '', listens = false }) {
  const groups = [receives].flat()
  const intake = new Intake()
  // A connection that waits for objects takes no other command meanwhile.
  const receiving = groups.length > 0 ? await openConnection(address) : undefined
  const sending = sendsTo !== '' ? await openConnection(address) : undefined
  let stopped = false
  if (listens) {
    receiving?.on('messageBuffer', (_channel, bytes) => intake.hand(decode(bytes)))
    await receiving?.subscribe(...groups.map((group) => `b:${group}`))
  }
  const produce = inBatches((/** @type {Buffer[]} */ objects) =>
    Promise.resolve(sending?.rpush(`q:${sendsTo}`, ...objects)),
  )
  const broadcast = inBatches(async (/** @type {Buffer[]} */ objects) => {
    const pipeline = sending?.pipeline()
    for (const object of objects) pipeline?.publish(`b:${sendsTo}`, object)
    for (const [error] of (await pipeline?.exec()) ?? []) if (error) throw error
  })
  return {
    produce: (object) => produce(encode(object)),
    broadcast: (object) => broadcast(encode(object)),
    consume(onObject, count) {
      const taken = intake.take(onObject, count)
      if (receiving !== undefined) takeAll(receiving, groups, intake, () => stopped)
      return taken
    },
    listen: intake.take,
    async stop() {
      stopped = true
      receiving?.disconnect()
      sending?.disconnect()
    },
  }
}

/** @type {import('../../harness/types.js').Driver} */
export const driver = {
  keepsObjects: true,
  makesGroups: false,
  isDurable: false,
  objectBytesMax: 64 * 1024 * 1024,
  missing,
  startRelay,
  connect,
}
