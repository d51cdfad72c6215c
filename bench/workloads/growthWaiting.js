import { sendAll } from '../harness/sending.js'
import { checkSmall, makeSmall } from '../objects/small.js'
import { consumerRole } from './stream.js'

const group = 'bench'
const unconfirmedMax = 2_000
const kindOf = () => ({ make: makeSmall, check: checkSmall })

/** @param {import('../harness/types.js').RoleContext} context */
async function producerRole({ connect, parameters: { waiting = 0, objects = 0 } }) {
  const link = await connect({ sendsTo: group })
  const send = (/** @type {number} */ first, /** @type {number} */ count) =>
    sendAll({ count, unconfirmedMax, room: link.room, send: (index) => link.produce(makeSmall(first + index)) })
  return { fill: () => send(0, waiting), run: () => send(waiting, objects), stop: link.stop }
}

/** @type {import('../harness/types.js').GrowthWorkload} */
export const workload = {
  name: 'growth-waiting',
  title: 'small objects through a queue in which others wait',
  needsKeptObjects: true,
  phases: ['fill', 'run'],
  countedPhases: ['run'],
  parameters: (scale, _driver, waiting) => ({ waiting, objects: Math.max(2, Math.round(100_000 * scale)) }),
  roles: { consumer: consumerRole(kindOf, group), producer: producerRole },
  objects: ({ objects = 1 }) => objects,
  measure({ usage }) {
    const relay = usage.fill?.relay
    const grownBytes = relay === undefined ? Number.NaN : relay.rssBytes - relay.rssAtStartBytes
    return [{ name: 'relay memory', unit: 'MiB', value: grownBytes / 2 ** 20, better: 'lower' }]
  },
  axis: { label: 'objects that wait in the queue meanwhile', isLog: true },
  points: [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
  plots: [
    {
      file: 'waiting-cpu',
      title: 'Processor time for one small object, all processes together',
      value: 'cpu',
      y: { label: 'microseconds', isLog: false },
    },
    {
      file: 'waiting-memory',
      title: 'Memory that the relay took for what waits',
      value: 'relay memory',
      y: { label: 'MiB', isLog: true },
    },
  ],
}
