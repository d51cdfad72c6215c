import { nowMs } from '../harness/clock.js'
import { sendAll } from '../harness/sending.js'

/** @typedef {import('../harness/types.js').RoleContext} RoleContext */
/** @typedef {{ make: (id: number) => unknown, check: (object: unknown, id: number) => void }} ObjectKind */

/**
 * The role that consumes `count` objects of a group and checks each: content and order.
 * @param {(parameters: import('../harness/types.js').Parameters) => ObjectKind} kindOf
 * @param {string} group
 */
export function consumerRole(kindOf, group) {
  return async (/** @type {RoleContext} */ { connect, parameters }) => {
    const kind = kindOf(parameters)
    const link = await connect({ receives: group })
    return {
      async run() {
        let next = 0
        await link.consume((object) => kind.check(object, next++), parameters.objects ?? 0)
        return { finishedMs: nowMs() }
      },
      stop: link.stop,
    }
  }
}

/**
 * The role that produces them, with at most `unconfirmedMax` on their way.
 * @param {(parameters: import('../harness/types.js').Parameters) => ObjectKind} kindOf
 * @param {string} group
 * @param {'produce' | 'broadcast'} [how]
 */
export function producerRole(kindOf, group, how = 'produce') {
  return async (/** @type {RoleContext} */ { connect, parameters }) => {
    const kind = kindOf(parameters)
    const link = await connect({ sendsTo: group })
    return {
      async run() {
        const startedMs = nowMs()
        await sendAll({
          count: parameters.objects ?? 0,
          unconfirmedMax: parameters.unconfirmedMax ?? 1,
          send: (index) => link[how](kind.make(index)),
          room: link.room,
        })
        return { startedMs }
      },
      stop: link.stop,
    }
  }
}

/**
 * One producer, one queue, one consumer.
 * @param {object} options
 * @param {string} options.name
 * @param {string} options.title
 * @param {number} options.objects
 * @param {number} options.unconfirmedMax
 * @param {() => ObjectKind} options.kindOf
 * @param {number} [options.objectBytes] Makes the rate one of bytes.
 * @returns {import('../harness/types.js').Workload}
 */
export function streamWorkload({ name, title, objects, unconfirmedMax, kindOf, objectBytes }) {
  return {
    name,
    title,
    phases: ['run'],
    ...(objectBytes === undefined ? {} : { objectBytes }),
    parameters: (scale) => ({ objects: Math.max(2, Math.round(objects * scale)), unconfirmedMax }),
    roles: { consumer: consumerRole(kindOf, 'bench'), producer: producerRole(kindOf, 'bench') },
    objects: ({ objects: count = 1 }) => count,
    measure({ parameters: { objects: count = 0 }, results }) {
      const seconds = (results.run?.consumer.finishedMs - results.run?.producer.startedMs) / 1000
      if (objectBytes === undefined) {
        return [{ name: 'rate', unit: 'objects/s', value: count / seconds, better: 'higher' }]
      }
      return [{ name: 'rate', unit: 'MB/s', value: (count * objectBytes) / seconds / 1e6, better: 'higher' }]
    },
  }
}
