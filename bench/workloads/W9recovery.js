import { nowMs } from '../harness/clock.js'
import { sendAll } from '../harness/sending.js'
import { checkSmall, makeSmall } from '../objects/small.js'

const group = 'bench'
const unconfirmedMax = 2_000
const usualObjects = 100_000

/** @param {import('../harness/types.js').RoleContext} context */
async function producerRole({ connect, parameters: { objects = 0 } }) {
  return {
    async fill() {
      const link = await connect({ sendsTo: group })
      const send = (/** @type {number} */ index) => link.produce(makeSmall(index))
      await sendAll({ count: objects, unconfirmedMax, room: link.room, send })
      await link.stop()
    },
    stop: async () => {},
  }
}

/**
 * Takes everything from the relay that was killed and came back.
 * @param {import('../harness/types.js').RoleContext} context
 */
async function consumerRole({ connect, parameters: { objects = 0 } }) {
  /** @type {import('../harness/types.js').Link | undefined} */
  let link
  return {
    async recover() {
      const startedMs = nowMs()
      link = await connect({ receives: group })
      let next = 0
      let firstMs = 0
      await link.consume((object) => {
        if (next === 0) firstMs = nowMs() - startedMs
        checkSmall(object, next++)
      }, objects)
      return { firstMs, elapsedMs: nowMs() - startedMs }
    },
    stop: async () => link?.stop(),
  }
}

/** @type {import('../harness/types.js').GrowthWorkload} */
export const workload = {
  name: 'W9-recovery',
  title: 'a relay with a durable store is killed while small objects wait, and started again',
  isDurable: true,
  needsKeptObjects: true,
  phases: ['fill', 'recover'],
  countedPhases: ['recover'],
  restartsBefore: 'recover',
  parameters: (scale, _driver, point) => ({ objects: point || Math.max(2, Math.round(usualObjects * scale)) }),
  roles: { producer: producerRole, consumer: consumerRole },
  objects: ({ objects = 1 }) => objects,
  measure({ parameters: { objects = 1 }, results }) {
    const { firstMs, elapsedMs } = results.recover?.consumer ?? {}
    return [
      { name: 'start', unit: 'ms', value: results.recover?.relay.startMs, better: 'lower' },
      { name: 'first object', unit: 'ms', value: firstMs, better: 'lower' },
      { name: 'drain', unit: 'objects/s', value: (objects / elapsedMs) * 1000, better: 'higher' },
    ]
  },
  axis: { label: 'objects that wait', isLog: true },
  points: [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
  plots: [
    {
      file: 'recovery',
      title: 'A killed relay starts again on what its store holds',
      value: 'start',
      y: { label: 'milliseconds', isLog: true },
    },
  ],
}
