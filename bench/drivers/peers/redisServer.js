import { Redis } from 'ioredis'
import { missingServer, startServer } from './server.js'

export const missing = () => missingServer('redis-server', 'redis-server')

export async function startRelay() {
  const server = await startServer(({ port, files, configurationFile }) => ({
    command: 'redis-server',
    args: [configurationFile],
    configuration: [
      'bind 127.0.0.1',
      'port 0',
      `tls-port ${port}`,
      `tls-cert-file ${files.certificate}`,
      `tls-key-file ${files.key}`,
      'tls-auth-clients no',
      'tls-protocols "TLSv1.3"',
      'tls-session-caching no',
      // Memory only, and no listener is cut off for being slow.
      'save ""',
      'appendonly no',
      'client-output-buffer-limit normal 0 0 0',
      'client-output-buffer-limit pubsub 0 0 0',
      '',
    ].join('\n'),
  }))
  return {
    address: { port: server.port, certificate: server.certificate },
    serverPid: server.pid,
    stop: server.stop,
  }
}

/** @param {{ port: number, certificate: string }} address */
export async function openConnection({ port, certificate }) {
  const redis = new Redis({
    host: '127.0.0.1',
    port,
    tls: { ca: certificate, minVersion: 'TLSv1.3' },
    lazyConnect: true,
    enableReadyCheck: false,
    maxRetriesPerRequest: null,
    retryStrategy: () => null,
  })
  // A command that fails says so itself.
  redis.on('error', () => {})
  await redis.connect()
  return redis
}

/**
 * Collects what is sent in one tick, so that it leaves together.
 * @template T
 * @param {(items: T[]) => Promise<unknown>} flush
 */
export function inBatches(flush) {
  /** @type {T[]} */
  let items = []
  /** @type {Promise<unknown> | undefined} */
  let batch
  return (/** @type {T} */ item) => {
    items.push(item)
    batch ??= Promise.resolve().then(() => {
      const all = items
      items = []
      batch = undefined
      return flush(all)
    })
    return batch
  }
}
