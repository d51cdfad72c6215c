import { connect as connectNats } from '@nats-io/transport-node'
import { missingServer, startServer } from './server.js'

/** Above the largest object of the workloads, with its encoding. */
const payloadBytesMax = 80 * 1024 * 1024
/** What the server may hold for one slow connection before it cuts it off and loses what was in it. */
const pendingBytesMax = 2 ** 31 - 1

export const missing = () => missingServer('nats-server', 'nats-server')

/** @param {string} more Lines of its configuration. */
function startNatsServer(more = '') {
  return startServer(({ folder, port, files, configurationFile }) => ({
    command: 'nats-server',
    args: ['-c', configurationFile],
    configuration: `
      listen: "127.0.0.1:${port}"
      max_payload: ${payloadBytesMax}
      max_pending: ${pendingBytesMax}
      write_deadline: "60s"
      tls { cert_file: "${files.certificate}", key_file: "${files.key}", timeout: 10 }
      ${more.replaceAll('FOLDER', folder)}
    `,
  }))
}

/** @param {{ port: number, certificate: string }} address */
export function openConnection({ port, certificate }) {
  return connectNats({
    servers: `127.0.0.1:${port}`,
    tls: { ca: certificate },
    reconnect: false,
    noAsyncTraces: true,
  })
}

/**
 * @param {string} [more]
 * @param {(connection: Awaited<ReturnType<typeof openConnection>>) => Promise<void>} [prepare]
 */
export async function startRelay(more, prepare) {
  const server = await startNatsServer(more)
  const address = { port: server.port, certificate: server.certificate }
  if (prepare !== undefined) {
    const connection = await openConnection(address)
    await prepare(connection)
    await connection.close()
  }
  return { address, serverPid: server.pid, stop: server.stop }
}
