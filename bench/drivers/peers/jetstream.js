// JetStream by its own messages over a plain connection, which costs the client much less than its JetStream library.
import { createInbox } from '@nats-io/transport-node'
import { Intake } from '../intake.js'
import { decode, encode } from './codec.js'
import { missing, openConnection, startRelay } from './natsServer.js'

const nothing = new Uint8Array()
const requestMs = 10_000
/** Objects asked for at once; asked for again when half of them have come. */
const pullBatch = 2_000
const unacknowledgedMax = 50_000
/** What is larger than 32 MiB is confirmed, and not found again when it is read from the file. */
const fileObjectBytesMax = 31 * 1024 * 1024
const ackWaitNs = 300e9

/** @typedef {Awaited<ReturnType<typeof openConnection>>} Connection */
/** @typedef {{ resolve: (value?: undefined) => void, reject: (error: Error) => void }} Waiting */

/**
 * @param {Connection} connection
 * @param {string} action
 * @param {object} request
 */
async function ask(connection, action, request) {
  const { data } = await connection.request(`$JS.API.${action}`, JSON.stringify(request), { timeout: requestMs })
  const answer = JSON.parse(Buffer.from(data).toString())
  if (answer.error !== undefined) throw new Error(`JetStream refuses ${action}: ${answer.error.description}`)
  return answer
}

/** @param {'memory' | 'file'} storage */
function start(storage) {
  const settings = 'jetstream { store_dir: "FOLDER/jetstream", max_mem: 16G, max_file: 64G }'
  return startRelay(settings, async (connection) => {
    const common = { storage, discard: 'new', max_msgs: -1, max_bytes: -1, num_replicas: 1 }
    const queue = { ...common, name: 'queue', subjects: ['q.*'], retention: 'workqueue' }
    const broadcast = { ...common, name: 'broadcast', subjects: ['b.*'], retention: 'limits' }
    await ask(connection, 'STREAM.CREATE.queue', queue)
    await ask(connection, 'STREAM.CREATE.broadcast', broadcast)
  })
}

/**
 * Publishes with a number in the address of the answer, by which the confirmation finds its object.
 * @param {Connection} connection
 */
function confirmedPublisher(connection) {
  const inbox = createInbox()
  /** @type {Map<string, Waiting>} */
  const waiting = new Map()
  let last = 0
  connection.subscribe(`${inbox}.*`, {
    callback(error, { subject, data }) {
      const number = subject.slice(inbox.length + 1)
      const { resolve, reject } = waiting.get(number) ?? {}
      waiting.delete(number)
      const answer = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
      if (error || answer.length === 0 || answer.includes('"error"')) {
        reject?.(new Error(`JetStream did not take an object: ${error ?? answer}`))
      } else resolve?.()
    },
  })
  return (/** @type {string} */ subject, /** @type {unknown} */ object) =>
    new Promise((/** @type {Waiting['resolve']} */ resolve, reject) => {
      const number = String(++last)
      waiting.set(number, { resolve, reject })
      connection.publish(subject, encode(object), { reply: `${inbox}.${number}` })
    })
}

/**
 * Takes a group's objects, in batches, and acknowledges each.
 * @param {Connection} connection
 * @param {string} group
 * @param {Intake} intake
 */
function pull(connection, group, intake) {
  const inbox = createInbox()
  let coming = 0
  const askForMore = () => {
    const more = pullBatch - coming
    coming += more
    const request = JSON.stringify({ batch: more })
    connection.publish(`$JS.API.CONSUMER.MSG.NEXT.queue.${group}`, request, { reply: inbox })
  }
  connection.subscribe(inbox, {
    callback(error, { data, reply }) {
      if (error) return intake.fail(error)
      // What has no address for an acknowledgement is a word about the request.
      if (reply === undefined || reply === '') return intake.fail(new Error('JetStream ended a request for objects'))
      coming -= 1
      intake.hand(decode(data))
      connection.publish(reply, nothing)
      if (coming <= pullBatch / 2) askForMore()
    },
  })
  askForMore()
}

/**
 * @param {Connection} connection
 * @param {string} group
 * @param {Intake} intake
 */
async function hear(connection, group, intake) {
  const inbox = createInbox()
  connection.subscribe(inbox, {
    callback: (error, { data }) => (error ? intake.fail(error) : intake.hand(decode(data))),
  })
  const config = { deliver_subject: inbox, filter_subject: `b.${group}`, deliver_policy: 'all', ack_policy: 'none' }
  await ask(connection, 'CONSUMER.CREATE.broadcast', { stream_name: 'broadcast', config })
}

/**
 * @param {{ port: number, certificate: string }} address
 * @param {import('../../harness/types.js').LinkOptions} link
 * @returns {Promise<import('../../harness/types.js').Link>}
 */
async function connect(address, { receives = [], sendsTo = '', listens = false }) {
  const connection = await openConnection(address)
  const intake = new Intake()
  const groups = [receives].flat()
  for (const group of groups) {
    if (listens) await hear(connection, group, intake)
    else {
      const filter = { durable_name: group, filter_subject: `q.${group}`, deliver_policy: 'all' }
      const config = { ...filter, ack_policy: 'explicit', ack_wait: ackWaitNs, max_ack_pending: unacknowledgedMax }
      await ask(connection, `CONSUMER.DURABLE.CREATE.queue.${group}`, { stream_name: 'queue', config })
    }
  }
  const publish = confirmedPublisher(connection)
  return {
    produce: (object) => publish(`q.${sendsTo}`, object),
    broadcast: (object) => publish(`b.${sendsTo}`, object),
    consume(onObject, count) {
      const taken = intake.take(onObject, count)
      for (const group of groups) pull(connection, group, intake)
      return taken
    },
    listen: intake.take,
    stop: () => connection.close(),
  }
}

/**
 * @param {'memory' | 'file'} storage
 * @returns {import('../../harness/types.js').Driver}
 */
export function jetstreamDriver(storage) {
  return {
    keepsObjects: true,
    makesGroups: false,
    isDurable: storage === 'file',
    objectBytesMax: storage === 'file' ? fileObjectBytesMax : 64 * 1024 * 1024,
    missing,
    startRelay: () => start(storage),
    connect,
  }
}
