// Redis streams: a consumer group for a queue, each object acknowledged and then deleted; for broadcasts each member reads all.
import { Intake } from '../intake.js'
import { decode, encode } from './codec.js'
import { inBatches, missing, openConnection, startRelay } from './redisServer.js'

/** Objects taken with one command. */
const takeBatch = 500
const consumerGroup = 'members'

/** @typedef {import('ioredis').Redis} Redis */
/** @typedef {[id: Buffer, fields: Buffer[]]} Entry */
/** @typedef {[key: Buffer, entries: Entry[]][] | null} Answer */

/**
 * @param {Entry[]} entries
 * @param {Intake} intake
 */
function handOver(entries, intake) {
  for (const [, fields] of entries) {
    const bytes = fields[1]
    if (bytes !== undefined) intake.hand(decode(bytes))
  }
}

/**
 * @param {Redis} redis
 * @param {string[]} keys
 * @param {Intake} intake
 */
async function consumeGroups(redis, keys, intake) {
  const news = keys.map(() => '>')
  // The reading waits for nobody: what was taken last is acknowledged in the same write as the next reading.
  while (intake.left > 0) {
    const reading = redis.xreadgroupBuffer(
      'GROUP',
      consumerGroup,
      'bench',
      'COUNT',
      takeBatch,
      'BLOCK',
      0,
      'STREAMS',
      ...keys,
      ...news,
    )
    for (const [key, entries] of /** @type {Answer} */ (await reading) ?? []) {
      handOver(entries, intake)
      const ids = entries.map(([id]) => id)
      const settling = redis.pipeline().xack(key, consumerGroup, ...ids)
      settling.xdel(key, ...ids)
      settling.exec().catch((error) => intake.fail(error))
    }
  }
}

/**
 * @param {Redis} redis
 * @param {string} key
 * @param {Intake} intake
 */
async function readAll(redis, key, intake) {
  /** @type {Buffer | string} */
  let last = '0'
  while (intake.left > 0) {
    const reading = redis.xreadBuffer('COUNT', takeBatch, 'BLOCK', 0, 'STREAMS', key, last)
    for (const [, entries] of /** @type {Answer} */ (await reading) ?? []) {
      last = entries.at(-1)?.[0] ?? last
      handOver(entries, intake)
    }
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
  if (!listens) {
    for (const group of groups) await receiving?.xgroup('CREATE', `q:${group}`, consumerGroup, '0', 'MKSTREAM')
  }
  const add = inBatches(async (/** @type {[string, Buffer][]} */ entries) => {
    const pipeline = sending?.pipeline()
    for (const [key, object] of entries) pipeline?.xadd(key, '*', 'o', object)
    for (const [error] of (await pipeline?.exec()) ?? []) if (error) throw error
  })
  const failed = (/** @type {unknown} */ error) => {
    if (!stopped) intake.fail(error)
  }
  return {
    produce: (object) => add([`q:${sendsTo}`, encode(object)]),
    broadcast: (object) => add([`b:${sendsTo}`, encode(object)]),
    consume(onObject, count) {
      const taken = intake.take(onObject, count)
      const keys = groups.map((group) => `q:${group}`)
      if (receiving !== undefined) consumeGroups(receiving, keys, intake).catch(failed)
      return taken
    },
    listen(onObject, count) {
      const taken = intake.take(onObject, count)
      if (receiving !== undefined) readAll(receiving, `b:${groups[0]}`, intake).catch(failed)
      return taken
    },
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
