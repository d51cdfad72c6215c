import { workload as w1 } from './W1.js'

const endpointsAtOnce = 50
const groupsPerEndpoint = 250

/**
 * The crowd that does nothing: its endpoints in a group each, and groups that somebody was in once.
 * @param {import('../harness/types.js').RoleContext} context
 */
export async function crowdRole({ driver, connect, parameters }) {
  const { endpoints = 0, emptyGroups = 0 } = parameters
  for (let first = 0; driver?.makesGroups && first < emptyGroups; first += groupsPerEndpoint) {
    const receives = Array.from({ length: groupsPerEndpoint }, (_group, index) => `empty-${first + index}`)
    await (await connect({ receives })).stop()
  }
  /** @type {import('../harness/types.js').Link[]} */
  const links = []
  while (links.length < endpoints) {
    const batch = Math.min(endpointsAtOnce, endpoints - links.length)
    const connecting = Array.from({ length: batch }, (_link, index) =>
      connect({ receives: `idle-${links.length + index}` }),
    )
    links.push(...(await Promise.all(connecting)))
  }
  return { run: async () => {}, stop: () => Promise.all(links.map((link) => link.stop())) }
}

/** @type {import('../harness/types.js').Workload} */
export const workload = {
  ...w1,
  name: 'W12',
  title: 'W1 beside 1 000 idle endpoints in 1 000 groups, and 10 000 empty groups (compare with W1)',
  parameters: (scale, driver, point) => ({
    ...w1.parameters(scale, driver, point),
    endpoints: Math.round(1_000 * scale),
    emptyGroups: Math.round(10_000 * scale),
  }),
  roles: { crowd: crowdRole, ...w1.roles },
}
