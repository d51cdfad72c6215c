/** The systems under test, in the order in which they run. raw2 comes first: the others are compared with it. */
const modules = {
  raw2: () => import('./raw2/driver.js'),
  objectrelay: () => import('./objectrelay.js'),
}

export const driverNames = Object.keys(modules)

/**
 * @param {string} name
 * @returns {Promise<import('../harness/types.js').Driver>}
 */
export async function loadDriver(name) {
  const entry = Object.entries(modules).find(([known]) => known === name)
  if (entry === undefined) throw new Error(`there is no driver ${name}; there are ${driverNames.join(', ')}`)
  return (await entry[1]()).driver
}

/**
 * One system for each driver; objectrelay once for each mode of `--io`.
 * @param {{ drivers: readonly string[], ioModes: readonly string[] }} options
 * @returns {import('../harness/types.js').System[]}
 */
export function systemsOf({ drivers, ioModes }) {
  return driverNames
    .filter((name) => drivers.includes(name))
    .flatMap((name) => {
      if (name !== 'objectrelay') return [{ name, driver: name, options: { io: 'inline' } }]
      return ioModes.map((io) => ({ name: `${name} ${io}`, driver: name, options: { io } }))
    })
}
