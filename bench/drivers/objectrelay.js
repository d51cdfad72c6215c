import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Endpoint, fileStore, Relay } from '../../dist/index.js'
import { makeCertificate } from './certificate.js'

/** @typedef {import('../harness/types.js').Link} Link */

const host = '127.0.0.1'
/** What one call of `notify` may ask for. */
const askMax = 1_000_000

/** The same kind of certificate as raw2's, outside the user's data folder. */
function makeKeysFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'objectrelay-bench-'))
  const { key, certificate } = makeCertificate()
  writeFileSync(join(folder, 'key.pem'), key, { mode: 0o600 })
  writeFileSync(join(folder, 'certificate.pem'), certificate)
  return folder
}

/** @param {import('../harness/types.js').SystemOptions} options */
function storeOption({ store, folder, durability = 'synced' }) {
  if (store !== 'file') return {}
  return { store: fileStore({ dir: join(folder ?? tmpdir(), 'store'), durability }) }
}

/** @param {import('../harness/types.js').SystemOptions} options */
async function startRelay(options) {
  const keysDir = makeKeysFolder()
  // The harness ends this process when a run fails.
  process.on('exit', () => rmSync(keysDir, { recursive: true, force: true }))
  const password = randomBytes(24).toString('base64url')
  const relay = await Relay.start({ host, port: 0, password, keysDir, ...storeOption(options) })
  return {
    address: { port: relay.port, password },
    async stop() {
      await relay.stop()
      rmSync(keysDir, { recursive: true, force: true })
    },
  }
}

/**
 * @param {{ port: number, password: string }} address
 * @param {import('../harness/types.js').LinkOptions} link
 * @param {import('../harness/types.js').SystemOptions} options
 * @returns {Promise<Link>}
 */
async function connect({ port, password }, { receives = [], sendsTo = '' }, { io }) {
  const groups = [receives].flat()
  const endpoint = await Endpoint.connect({ host, port, password, groups, io })
  // The promise of each send says what failed, and the workload listens to it; without a listener an event would throw.
  endpoint.on('error', () => {})
  let stopped = false

  /** @type {Link['listen']} */
  const listen = async (onObject, count) => {
    let taken = 0
    try {
      while (taken < count) {
        const objects = await endpoint.retrieveAll({ blocking: true })
        for (const object of objects) onObject(object)
        taken += objects.length
      }
    } catch (error) {
      // A workload stops a link that would go on listening; anything else is a failure.
      if (!stopped) throw error
    }
  }

  return {
    produce: (object, group = sendsTo) => endpoint.produce(object, group),
    broadcast: (object) => endpoint.broadcast(object, sendsTo),
    listen,
    async consume(onObject, count) {
      // Round trips go on until the workload stops the link; none has more than one call can ask for.
      for (let left = Number.isFinite(count) ? count : askMax; left > 0; left -= askMax)
        await endpoint.notify(Object.fromEntries(groups.map((group) => [group, Math.min(left, askMax)])))
      await listen(onObject, count)
    },
    async stop() {
      stopped = true
      await endpoint.stop()
    },
  }
}

/** @type {import('../harness/types.js').Driver} */
export const driver = {
  keepsObjects: true,
  makesGroups: true,
  isDurable: true,
  restarts: true,
  objectBytesMax: 2 ** 30,
  startRelay,
  connect,
}
