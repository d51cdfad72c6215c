// What each process of a run executes: it does as the orchestrator says over IPC, and ends with it.
import { loadDriver } from '../drivers/catalogue.js'
import { findWorkload } from '../workloads/catalogue.js'

/** @type {{ address: object, stop: () => Promise<unknown> } | undefined} */
let relay
/** @type {import('./types.js').Prepared | undefined} */
let prepared
let cpuAtStart = process.cpuUsage()
let rssAtStartBytes = 0

/** @type {Record<string, (argument: any) => any>} */
const actions = {
  async startRelay({ driver, options }) {
    relay = await (await loadDriver(driver)).startRelay(options)
    return relay.address
  },
  async prepare({ workload, role, driver: driverName, address, options, parameters }) {
    const driver = await loadDriver(driverName)
    const { roles } = await findWorkload(workload)
    const connect = (/** @type {import('./types.js').LinkOptions} */ link) => driver.connect(address, link, options)
    prepared = await roles[role]?.({ driver, connect, parameters })
  },
  has: ({ phase }) => prepared?.[phase] !== undefined,
  mark() {
    globalThis.gc?.()
    rssAtStartBytes = process.memoryUsage.rss()
    cpuAtStart = process.cpuUsage()
  },
  run: ({ phase }) => prepared?.[phase]?.(),
  usage() {
    // Both cover all threads of the process.
    const { user, system } = process.cpuUsage(cpuAtStart)
    const peakRssKiB = process.resourceUsage().maxRSS
    globalThis.gc?.()
    return { cpuUs: user + system, peakRssKiB, rssBytes: process.memoryUsage.rss(), rssAtStartBytes }
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
