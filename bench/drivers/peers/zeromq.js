// ZeroMQ with CURVE: a process with a native proxy for each queue, and one for broadcasts. It confirms nothing.
import { setTimeout as delay } from 'node:timers/promises'
import { Intake } from '../intake.js'
import { decode, encode } from './codec.js'

const anyPort = 'tcp://127.0.0.1:*'
/** A subscription needs this long to reach the producers; nobody is told when it has. */
const subscriptionMs = 200

/** ZeroMQ is native, so it is loaded only when it is asked for. */
const load = () => import('zeromq')

/** @typedef {{ control: string, serverKey: string }} Address */
/** @typedef {{ inlet: string, outlet: string }} Ends */

/** @returns {Promise<import('../../harness/types.js').RunningRelay>} */
async function startRelay() {
  const { Proxy: SocketProxy, Pull, Push, Reply, XPublisher, XSubscriber, curveKeyPair } = await load()
  const { publicKey, secretKey } = curveKeyPair()
  const security = { curveServer: true, curveSecretKey: secretKey, linger: 0 }
  /** @type {Map<string, Promise<Ends>>} */
  const opened = new Map()
  /** @type {InstanceType<typeof SocketProxy>[]} */
  const proxies = []

  /** @param {string} channel The name of a queue, or of what all hear. @returns {Promise<Ends>} */
  const open = async (channel) => {
    const isQueue = channel.startsWith('q.')
    const front = isQueue ? new Pull(security) : new XSubscriber(security)
    const back = isQueue ? new Push(security) : new XPublisher({ ...security, noDrop: true })
    await front.bind(anyPort)
    await back.bind(anyPort)
    const ends = { inlet: front.lastEndpoint ?? '', outlet: back.lastEndpoint ?? '' }
    const proxy = new SocketProxy(front, back)
    proxies.push(proxy)
    // It ends when it is terminated.
    proxy.run().catch(() => {})
    return ends
  }

  const control = new Reply(security)
  await control.bind(anyPort)
  const answer = async () => {
    for await (const [request] of control) {
      const channel = String(request)
      const ends = channel === '' ? undefined : (opened.get(channel) ?? open(channel))
      if (ends !== undefined) opened.set(channel, ends)
      await control.send(JSON.stringify((await ends) ?? {}))
    }
  }
  answer().catch(() => {})
  return {
    address: { control: control.lastEndpoint, serverKey: publicKey },
    async stop() {
      for (const proxy of proxies) proxy.terminate()
      control.close()
    },
  }
}

/**
 * @param {Address} address
 * @param {import('../../harness/types.js').LinkOptions} link
 * @returns {Promise<import('../../harness/types.js').Link>}
 */
async function connect({ control, serverKey }, { receives = [], sendsTo = '', listens = false }) {
  const { Publisher, Pull, Push, Request, Subscriber, curveKeyPair } = await load()
  const { publicKey, secretKey } = curveKeyPair()
  const security = { curveServerKey: serverKey, curvePublicKey: publicKey, curveSecretKey: secretKey, linger: 0 }
  const intake = new Intake()
  /** @type {{ close: () => void }[]} */
  const sockets = []
  let stopped = false

  const asking = new Request(security)
  asking.connect(control)
  sockets.push(asking)
  /** @param {string} channel @returns {Promise<Ends>} */
  const endsOf = async (channel) => {
    await asking.send(channel)
    const [answer] = await asking.receive()
    return JSON.parse(String(answer))
  }
  // Without a queue it is a connection all the same, proven and answered.
  await endsOf('')

  /** @param {import('zeromq').Pull | import('zeromq').Subscriber} socket */
  const receiveAll = async (socket) => {
    try {
      for await (const parts of socket) intake.hand(decode(/** @type {Buffer} */ (parts.at(-1))))
    } catch (error) {
      if (!stopped) intake.fail(error)
    }
  }
  const groups = [receives].flat()
  if (listens) {
    const subscriber = new Subscriber({ ...security, receiveHighWaterMark: 0 })
    subscriber.connect((await endsOf('broadcasts')).outlet)
    subscriber.subscribe(...groups)
    sockets.push(subscriber)
    receiveAll(subscriber)
    await delay(subscriptionMs)
  }

  /** The last sending; a socket takes one at a time. @type {Promise<void> | undefined} */
  let sending
  /** @type {import('zeromq').Push | undefined} */
  let push
  /** @type {import('zeromq').Publisher | undefined} */
  let publisher
  if (sendsTo !== '') {
    push = new Push(security)
    push.connect((await endsOf(`q.${sendsTo}`)).inlet)
    // A publisher that is full drops, or fails; so it has no bound.
    publisher = new Publisher({ ...security, sendHighWaterMark: 0 })
    publisher.connect((await endsOf('broadcasts')).inlet)
    sockets.push(push, publisher)
    await delay(subscriptionMs)
  }
  return {
    produce(object) {
      sending = push?.send(encode(object))
      return undefined
    },
    broadcast(object) {
      sending = publisher?.send([sendsTo, encode(object)])
      return undefined
    },
    room: () => sending,
    async consume(onObject, count) {
      const taken = intake.take(onObject, count)
      for (const group of groups) {
        const pull = new Pull(security)
        pull.connect((await endsOf(`q.${group}`)).outlet)
        sockets.push(pull)
        receiveAll(pull)
      }
      return taken
    },
    listen: intake.take,
    async stop() {
      stopped = true
      for (const socket of sockets) socket.close()
    },
  }
}

/** @type {import('../../harness/types.js').Driver} */
export const driver = {
  // What waits at a proxy is in a buffer that fills.
  keepsObjects: false,
  makesGroups: false,
  isDurable: false,
  objectBytesMax: 64 * 1024 * 1024,
  // Each proxy keeps a thread of Node's pool, which has four.
  environment: { UV_THREADPOOL_SIZE: '16' },
  startRelay,
  connect,
}
