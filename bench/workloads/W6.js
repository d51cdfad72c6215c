import { setTimeout as delay } from 'node:timers/promises'
import { nowMs } from '../harness/clock.js'
import { arrayObjects } from '../objects/array.js'
import { echoRole, latencyOf, startPinging, untilFinished } from './pingpong.js'
import { consumerRole, producerRole } from './stream.js'

const objectBytes = 64 * 1024 * 1024
const paceMs = 2
const warmUp = 200
const kindOf = () => arrayObjects(objectBytes)

/**
 * Pings every 2 ms until the bulk is through.
 * @param {import('../harness/types.js').RoleContext} context
 */
async function pingerRole({ connect }) {
  const link = await connect({ receives: 'pongs', sendsTo: 'pings' })
  const pinging = startPinging(link)
  let done = false
  const role = untilFinished(async (finished) => {
    finished.then(() => {
      done = true
    })
    let nextMs = nowMs()
    while (!done) {
      await pinging.ping()
      nextMs = Math.max(nextMs + paceMs, nowMs())
      const waitMs = nextMs - nowMs()
      if (waitMs > 0.5) await delay(waitMs)
    }
    return { ...latencyOf(pinging.roundTripsUs), pings: pinging.roundTripsUs.length }
  })
  return {
    async warm() {
      for (let round = 0; round < warmUp; round++) await pinging.ping()
      pinging.roundTripsUs.length = 0
    },
    ...role,
    stop: link.stop,
  }
}

/** @param {import('../harness/types.js').RoleContext} context */
async function warmEchoRole(context) {
  const echo = await echoRole(context)
  // It answers from the warming on; the phase that is measured only waits for its end.
  const echoing = echo.run()
  return { run: () => echoing, finish: echo.finish, stop: echo.stop }
}

/** @type {import('../harness/types.js').Workload} */
export const workload = {
  name: 'W6',
  title: 'W4 paced at 2 ms while W3 passes through the same relay (p50, p99: a lower ratio is better)',
  objectBytes,
  phases: ['warm', 'run'],
  background: ['echo', 'pinger'],
  parameters: (scale) => ({ objects: Math.max(2, Math.round(20 * scale)), unconfirmedMax: 2 }),
  roles: {
    consumer: consumerRole(kindOf, 'bulk'),
    producer: producerRole(kindOf, 'bulk'),
    echo: warmEchoRole,
    pinger: pingerRole,
  },
  objects: ({ objects = 1 }) => objects,
  measure({ parameters: { objects = 0 }, results }) {
    const { p50Us, p99Us } = results.run?.pinger ?? {}
    const seconds = (results.run?.consumer.finishedMs - results.run?.producer.startedMs) / 1000
    return [
      { name: 'p50', unit: 'us', value: p50Us, better: 'lower' },
      { name: 'p99', unit: 'us', value: p99Us, better: 'lower' },
      { name: 'bulk', unit: 'MB/s', value: (objects * objectBytes) / seconds / 1e6, better: 'higher' },
    ]
  },
}
