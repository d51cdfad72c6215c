import { echoRole, latencyOf, startPinging } from './pingpong.js'

/** Round trips that are not counted: the first thousand run in unoptimized code. */
const warmUp = 1_000

/** @param {import('../harness/types.js').RoleContext} context */
async function pingerRole({ connect, parameters }) {
  const link = await connect({ receives: 'pongs', sendsTo: 'pings' })
  return {
    async run() {
      const pinging = startPinging(link)
      for (let round = 0; round < warmUp; round++) await pinging.ping()
      pinging.roundTripsUs.length = 0
      for (let round = 0; round < (parameters.rounds ?? 0); round++) await pinging.ping()
      return latencyOf(pinging.roundTripsUs)
    },
    stop: link.stop,
  }
}

/** @type {import('../harness/types.js').Workload} */
export const workload = {
  name: 'W4',
  title: '5 000 round trips of a small object between two endpoints, nothing else running (a lower ratio is better)',
  phases: ['run'],
  background: ['echo'],
  parameters: (scale) => ({ rounds: Math.max(100, Math.round(5_000 * scale)) }),
  roles: { echo: echoRole, pinger: pingerRole },
  objects: ({ rounds = 1 }) => rounds + warmUp,
  measure({ results }) {
    const { p50Us, p99Us } = results.run?.pinger ?? {}
    return [
      { name: 'p50', unit: 'us', value: p50Us, better: 'lower' },
      { name: 'p99', unit: 'us', value: p99Us, better: 'lower' },
    ]
  },
}
