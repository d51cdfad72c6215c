/** The systems under test, in the order in which they run. raw2 comes first: the others are compared with it. */
const own = {
  raw2: () => import('./raw2/driver.js'),
  objectrelay: () => import('./objectrelay.js'),
}

/** Other systems, measured when they are asked for. */
const peers = {
  nats: () => import('./peers/nats.js'),
  jetstream: () => import('./peers/jetstreamMemory.js'),
  'jetstream-file': () => import('./peers/jetstreamFile.js'),
  redis: () => import('./peers/redis.js'),
  'redis-streams': () => import('./peers/redisStreams.js'),
  mosquitto: () => import('./peers/mosquitto.js'),
  zeromq: () => import('./peers/zeromq.js'),
}

const modules = { ...own, ...peers }

export const ownNames = Object.keys(own)
export const peerNames = Object.keys(peers)
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
