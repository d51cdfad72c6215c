/** The workloads by their names in the table of docs/performance.md, and those beside it. */
const modules = {
  W1: () => import('./W1.js'),
  W2: () => import('./W2.js'),
  W3: () => import('./W3.js'),
  W4: () => import('./W4.js'),
  'W4-long': () => import('./W4long.js'),
  W5: () => import('./W5.js'),
  W6: () => import('./W6.js'),
  W7: () => import('./W7.js'),
  W8: () => import('./W8.js'),
  'W9-small': () => import('./W9small.js'),
  'W9-arrays': () => import('./W9arrays.js'),
  'W9-recovery': () => import('./W9recovery.js'),
  W10: () => import('./W10.js'),
  W11: () => import('./W11.js'),
  W12: () => import('./W12.js'),
  frames: () => import('./frames.js'),
  ring: () => import('./ring.js'),
}

/** How cost grows, along an axis each. */
const growthModules = {
  size: () => import('./growthSize.js'),
  waiting: () => import('./growthWaiting.js'),
  endpoints: () => import('./growthEndpoints.js'),
  groups: () => import('./growthGroups.js'),
  recovery: () => import('./W9recovery.js'),
}

/** Names that stand for several workloads. */
export const workloadSets = { W9: ['W9-small', 'W9-arrays', 'W9-recovery'] }

export const workloadNames = Object.keys(modules)
export const growthNames = Object.keys(growthModules)

/**
 * @param {string} name
 * @returns {Promise<import('../harness/types.js').GrowthWorkload>}
 */
export async function findGrowth(name) {
  const entry = Object.entries(growthModules).find(([known]) => known === name)
  if (entry === undefined) throw new Error(`there is no growth along ${name}; there are ${growthNames.join(', ')}`)
  return (await entry[1]()).workload
}

/**
 * @param {string} name A workload's own name; that of a growth begins with `growth-`.
 * @returns {Promise<import('../harness/types.js').Workload>}
 */
export async function findWorkload(name) {
  if (name.startsWith('growth-')) return findGrowth(name.slice('growth-'.length))
  const entry = Object.entries(modules).find(([known]) => known === name)
  if (entry === undefined) throw new Error(`there is no workload ${name}; there are ${workloadNames.join(', ')}`)
  return (await entry[1]()).workload
}
