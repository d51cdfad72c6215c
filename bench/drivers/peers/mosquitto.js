// mosquitto, quality of service 1: a shared subscription is a queue, a plain one hears broadcasts.
import { TLSSocket } from 'node:tls'
import { connectAsync } from 'mqtt'
import { Intake } from '../intake.js'
import { decode, encode } from './codec.js'
import { missingServer, startServer } from './server.js'

const receiveMaximum = 65_535
const quality = 1

async function startRelay() {
  const server = await startServer(({ port, files, configurationFile }) => ({
    command: 'mosquitto',
    args: ['-c', configurationFile],
    configuration: [
      `listener ${port} 127.0.0.1`,
      `certfile ${files.certificate}`,
      `keyfile ${files.key}`,
      'tls_version tlsv1.3',
      'allow_anonymous true',
      'persistence false',
      'set_tcp_nodelay true',
      // No bound on what is on its way or waits: the workload has a window of its own.
      'max_inflight_messages 0',
      'max_queued_messages 0',
      'log_type error',
      // Started by root, mosquitto becomes this user, who could not read the key.
      `user ${process.getuid?.() === 0 ? 'root' : 'mosquitto'}`,
      '',
    ].join('\n'),
  }))
  return {
    address: { port: server.port, certificate: server.certificate },
    serverPid: server.pid,
    stop: server.stop,
  }
}

/**
 * @param {{ port: number, certificate: string }} address
 * @param {import('../../harness/types.js').LinkOptions} link
 * @returns {Promise<import('../../harness/types.js').Link>}
 */
async function connect({ port, certificate }, { receives = [], sendsTo = '', listens = false }) {
  const client = await connectAsync({
    protocol: 'mqtts',
    host: '127.0.0.1',
    port,
    ca: certificate,
    minVersion: 'TLSv1.3',
    protocolVersion: 5,
    clean: true,
    keepalive: 0,
    reconnectPeriod: 0,
    properties: { receiveMaximum },
  })
  // Otherwise each answer waits for the acknowledgement of what was sent before it.
  if (client.stream instanceof TLSSocket) client.stream.setNoDelay(true)
  const intake = new Intake()
  client.on('error', (error) => intake.fail(error))
  client.on('message', (_topic, bytes) => intake.hand(decode(bytes)))
  const topics = [receives].flat().map((group) => (listens ? `b/${group}` : `$share/members/q/${group}`))
  if (topics.length > 0) await client.subscribeAsync(topics, { qos: quality })
  const publish = (/** @type {string} */ topic, /** @type {unknown} */ object) =>
    client.publishAsync(topic, encode(object), { qos: quality })
  return {
    produce: (object) => publish(`q/${sendsTo}`, object),
    broadcast: (object) => publish(`b/${sendsTo}`, object),
    consume: intake.take,
    listen: intake.take,
    stop: () => client.endAsync(true),
  }
}

/** @type {import('../../harness/types.js').Driver} */
export const driver = {
  // It keeps objects only for members that were there before.
  keepsObjects: false,
  makesGroups: false,
  isDurable: false,
  objectBytesMax: 64 * 1024 * 1024,
  missing: () => missingServer('mosquitto', 'mosquitto'),
  startRelay,
  connect,
}
