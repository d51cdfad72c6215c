import { nowMs } from '../harness/clock.js'

/** @param {import('../harness/types.js').RoleContext} context */
async function crowdRole({ connect, parameters }) {
  /** @type {import('../harness/types.js').Link[]} */
  let links = []
  return {
    async run() {
      const startedMs = nowMs()
      links = await Promise.all(
        Array.from({ length: parameters.endpoints ?? 0 }, (_link, index) => connect({ receives: `group-${index}` })),
      )
      return { elapsedMs: nowMs() - startedMs }
    },
    stop: () => Promise.all(links.map((link) => link.stop())),
  }
}

/** @type {import('../harness/types.js').Workload} */
export const workload = {
  name: 'W7',
  title: '200 endpoints of one process connect at once (a lower ratio is better)',
  phases: ['run'],
  parameters: (scale) => ({ endpoints: Math.max(2, Math.round(200 * scale)) }),
  roles: { crowd: crowdRole },
  objects: ({ endpoints = 1 }) => endpoints,
  measure({ parameters: { endpoints = 1 }, results, usage }) {
    const relay = usage.run?.relay
    const grownBytes = relay === undefined ? Number.NaN : relay.rssBytes - relay.rssAtStartBytes
    return [
      { name: 'connect', unit: 'ms', value: results.run?.crowd.elapsedMs, better: 'lower' },
      { name: 'relay each', unit: 'KiB', value: grownBytes / endpoints / 1024, better: 'lower' },
    ]
  },
}
