import { nowMs } from '../harness/clock.js'
import { checkSmall, makeSmall } from '../objects/small.js'
import { producerRole } from './stream.js'

const group = 'bench'
/** Bytes of the small object in CBOR, and in MessagePack give or take six. */
const objectBytes = 127

const produceSmall = producerRole(() => ({ make: makeSmall, check: checkSmall }), group)

/** @param {import('../harness/types.js').RoleContext} context */
async function producer(context) {
  const { run, stop } = await produceSmall(context)
  return { fill: run, stop }
}

/**
 * Connects when the queue is full, and drains it.
 * @param {import('../harness/types.js').RoleContext} context
 */
async function consumer({ connect, parameters }) {
  /** @type {import('../harness/types.js').Link | undefined} */
  let link
  return {
    async drain() {
      link = await connect({ receives: group })
      const startedMs = nowMs()
      let next = 0
      await link.consume((object) => checkSmall(object, next++), parameters.objects ?? 0)
      return { elapsedMs: nowMs() - startedMs }
    },
    stop: async () => link?.stop(),
  }
}

/** @type {import('../harness/types.js').Workload} */
export const workload = {
  name: 'W8',
  title: '1 000 000 small objects wait in one queue, then are drained (compare the draining with W1)',
  needsKeptObjects: true,
  phases: ['fill', 'drain'],
  parameters: (scale) => ({ objects: Math.max(2, Math.round(1_000_000 * scale)), unconfirmedMax: 2_000 }),
  roles: { producer, consumer },
  objects: ({ objects = 1 }) => objects,
  measure({ parameters: { objects = 1 }, results, usage }) {
    const relay = usage.fill?.relay
    const grownBytes = relay === undefined ? Number.NaN : relay.rssBytes - relay.rssAtStartBytes
    const drainSeconds = results.drain?.consumer.elapsedMs / 1000
    return [
      { name: 'drain', unit: 'objects/s', value: objects / drainSeconds, better: 'higher' },
      { name: 'relay beyond its bytes', unit: 'B each', value: grownBytes / objects - objectBytes, better: 'lower' },
    ]
  },
}
