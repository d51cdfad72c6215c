// What each process of a run executes: it does as the orchestrator says over IPC, and ends with it.
import { loadDriver } from '../drivers/catalogue.js'
import { findWorkload } from '../workloads/catalogue.js'
import { nowMs } from './clock.js'
import { usageOf } from './processUsage.js'

/** @type {import('./types.js').RunningRelay | undefined} */
let relay
/** @type {import('./types.js').Prepared | undefined} */
let prepared
/** Where the relay is; it may come back elsewhere. */
let address = {}
let atStart = { cpuUs: 0, rssBytes: 0 }

/** Of this process with all its threads, or of the server that it started. */
function usageNow() {
  const server = relay?.serverPid === undefined ? undefined : usageOf(relay.serverPid)
  if (server !== undefined) return server
  const { user, system } = process.cpuUsage()
  const peakRssKiB = process.resourceUsage().maxRSS
  return { cpuUs: user + system, peakRssKiB, rssBytes: process.memoryUsage.rss() }
}

/** @type {Record<string, (argument: any) => any>} */
const actions = {
  async startRelay({ driver, options }) {
    const { startRelay } = await loadDriver(driver)
    const startedMs = nowMs()
    relay = await startRelay(options)
    return { address: relay.address, startMs: nowMs() - startedMs }
  },
  async prepare({ workload, role, driver: driverName, address: first, options, parameters }) {
    const driver = driverName === '' ? undefined : await loadDriver(driverName)
    address = first
    const connect = (/** @type {import('./types.js').LinkOptions} */ link) => {
      if (driver === undefined) throw new Error('this workload has no relay to connect to')
      return driver.connect(address, link, options)
    }
    const { roles } = await findWorkload(workload)
    prepared = await roles[role]?.({ driver, connect, parameters, variant: options.variant ?? '' })
  },
  moveTo({ address: next }) {
    address = next
  },
  mark() {
    globalThis.gc?.()
    atStart = usageNow()
  },
  run: ({ phase }) => prepared?.[phase]?.(),
  usage() {
    const { cpuUs, peakRssKiB } = usageNow()
    globalThis.gc?.()
    return {
      cpuUs: cpuUs - atStart.cpuUs,
      peakRssKiB,
      rssBytes: usageNow().rssBytes,
      rssAtStartBytes: atStart.rssBytes,
    }
  },
  async stop() {
    await prepared?.stop()
    await relay?.stop()
  },
}

process.on('message', async (/** @type {any} */ { call, action, argument }) => {
  try {
    process.send?.({ call, value: await actions[action]?.(argument) })
  } catch (error) {
    process.send?.({ call, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
})
process.on('disconnect', () => process.exit())
