import { nowMs } from '../harness/clock.js'
import { sendAll } from '../harness/sending.js'
import { checkSmall, makeSmall } from '../objects/small.js'

const unconfirmedMax = 2_000
/** A relay allows 255. */
const groupsPerEndpoint = 250

const nameOf = (/** @type {number} */ index) => `group-${index}`

/** @param {import('../harness/types.js').RoleContext} context */
async function producerRole({ connect, parameters: { objects = 0, groups = 1 } }) {
  const names = Array.from({ length: groups }, (_group, index) => nameOf(index))
  const link = await connect({ sendsTo: nameOf(0) })
  return {
    run: () =>
      sendAll({
        count: objects,
        unconfirmedMax,
        room: link.room,
        send: (index) => link.produce(makeSmall(index), names[index % groups]),
      }),
    stop: link.stop,
  }
}

/**
 * As many endpoints as the groups need, in one process; each group's objects are checked, content and order.
 * @param {import('../harness/types.js').RoleContext} context
 */
async function consumerRole({ connect, parameters: { objects = 0, groups = 1 } }) {
  const expected = Array.from({ length: groups }, (_group, index) => index)
  /** @type {{ link: import('../harness/types.js').Link, share: number }[]} */
  const members = []
  for (let first = 0; first < groups; first += groupsPerEndpoint) {
    const count = Math.min(groupsPerEndpoint, groups - first)
    const receives = Array.from({ length: count }, (_group, index) => nameOf(first + index))
    const shares = receives.map((_name, index) => Math.ceil((objects - first - index) / groups))
    const share = shares.reduce((sum, each) => sum + Math.max(0, each), 0)
    members.push({ link: await connect({ receives }), share })
  }
  const check = (/** @type {any} */ object) => {
    const group = object.id % groups
    checkSmall(object, expected[group] ?? Number.NaN)
    expected[group] = object.id + groups
  }
  return {
    async run() {
      await Promise.all(members.map(({ link, share }) => link.consume(check, share)))
      return { finishedMs: nowMs() }
    },
    stop: () => Promise.all(members.map(({ link }) => link.stop())),
  }
}

/** @type {import('../harness/types.js').GrowthWorkload} */
export const workload = {
  name: 'growth-groups',
  title: 'small objects to many groups in turn, each with a member',
  phases: ['run'],
  // Each group gets an object at least.
  parameters: (scale, _driver, groups) => ({ groups, objects: Math.max(groups, Math.round(100_000 * scale)) }),
  roles: { consumer: consumerRole, producer: producerRole },
  objects: ({ objects = 1 }) => objects,
  measure: () => [],
  axis: { label: 'groups', isLog: true },
  points: [1, 10, 100, 1_000, 10_000],
  carries: (_groups, driver) => driver.makesGroups,
  plots: [
    {
      file: 'groups-cpu',
      title: 'Processor time for one small object, all processes together',
      value: 'cpu',
      y: { label: 'microseconds', isLog: false },
    },
  ],
}
