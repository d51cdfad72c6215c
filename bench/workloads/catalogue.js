/** The workloads; W9 follows with the durable store. */
const modules = {
  W1: () => import('./W1.js'),
  W2: () => import('./W2.js'),
  W3: () => import('./W3.js'),
  W4: () => import('./W4.js'),
  W5: () => import('./W5.js'),
  W6: () => import('./W6.js'),
  W7: () => import('./W7.js'),
  W8: () => import('./W8.js'),
  W10: () => import('./W10.js'),
  W11: () => import('./W11.js'),
  W12: () => import('./W12.js'),
}

export const workloadNames = Object.keys(modules)

/**
 * @param {string} name
 * @returns {Promise<import('../harness/types.js').Workload>}
 */
export async function findWorkload(name) {
  const entry = Object.entries(modules).find(([known]) => known === name)
  if (entry === undefined) throw new Error(`there is no workload ${name}; there are ${workloadNames.join(', ')}`)
  return (await entry[1]()).workload
}
