import { driverNames, loadDriver } from '../drivers/catalogue.js'

/** @typedef {import('./types.js').System} System */
/** @typedef {import('./types.js').Workload} Workload */
/** @typedef {{ drivers: readonly string[], ioModes: readonly string[] }} Choice */

/**
 * The systems that a workload runs under: its own variants, or one for each driver, objectrelay once for each mode of
 * `--io`, and for a durable workload with its store.
 * @param {Workload} workload
 * @param {Choice} choice
 * @returns {System[]}
 */
export function systemsFor(workload, { drivers, ioModes }) {
  if (workload.variants !== undefined) {
    return workload.variants.map((name) => ({ name, driver: '', options: { io: 'inline', variant: name } }))
  }
  const wanted = [...drivers, ...(workload.peers ?? [])]
  const store = workload.isDurable ? 'file' : 'memory'
  return driverNames
    .filter((name) => wanted.includes(name))
    .flatMap((name) => {
      if (name !== 'objectrelay') return [{ name, driver: name, options: { io: 'inline' } }]
      return ioModes.map((io) => ({ name: `${name} ${io}`, driver: name, options: { io, store } }))
    })
}

/**
 * Why a system has no figures in a workload, if so: `note` is what stands in its row.
 * @param {Workload} workload
 * @param {System} system
 * @returns {Promise<{ note: string, reason?: string } | undefined>}
 */
export async function absenceOf(workload, { driver: name, options }) {
  if (name === '') return undefined
  const driver = await loadDriver(name)
  const missing = driver.missing?.(options)
  if (missing !== undefined) return { note: missing }
  if ((workload.objectBytes ?? 0) > driver.objectBytesMax) {
    return { note: '-', reason: `it carries no object of ${workload.objectBytes} bytes` }
  }
  if (workload.needsKeptObjects && !driver.keepsObjects) {
    return { note: '-', reason: 'it keeps nothing for a consumer that comes later' }
  }
  if (workload.restartsBefore !== undefined && !driver.restarts) {
    return { note: '-', reason: 'its restart is not measured here' }
  }
  // The limit that all are compared with stays, whatever it lacks.
  if (workload.isDurable && driver.isDurable === false) return { note: '-', reason: 'it keeps nothing on disk' }
  return undefined
}
