import { nowMs } from '../harness/clock.js'
import { arrayObjects } from '../objects/array.js'
import { producerRole } from './stream.js'

const objectBytes = 4 * 1024
const members = 16
const kindOf = () => arrayObjects(objectBytes)

/**
 * Sixteen members in one process; each checks what it receives.
 * @param {import('../harness/types.js').RoleContext} context
 */
async function membersRole({ connect, parameters }) {
  const links = await Promise.all(Array.from({ length: members }, () => connect({ receives: 'bench', listens: true })))
  return {
    async run() {
      const listening = links.map((link) => {
        const kind = kindOf()
        let next = 0
        return link.listen((object) => kind.check(object, next++), parameters.objects ?? 0)
      })
      await Promise.all(listening)
      return { finishedMs: nowMs() }
    },
    stop: () => Promise.all(links.map((link) => link.stop())),
  }
}

/** @type {import('../harness/types.js').Workload} */
export const workload = {
  name: 'W5',
  title: '5 000 broadcasts of 4 KiB to 16 members',
  phases: ['run'],
  parameters: (scale) => ({ objects: Math.max(2, Math.round(5_000 * scale)), unconfirmedMax: 1_000 }),
  roles: { members: membersRole, producer: producerRole(kindOf, 'bench', 'broadcast') },
  objects: ({ objects = 1 }) => objects * members,
  measure({ parameters: { objects = 0 }, results }) {
    const seconds = (results.run?.members.finishedMs - results.run?.producer.startedMs) / 1000
    return [{ name: 'delivered', unit: 'objects/s', value: (objects * members) / seconds, better: 'higher' }]
  },
}
