import { encodeJson, encodeNotify } from '../../src/wire/controlFrames.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'
import type { SeededRandom } from '../simulation/random.ts'
import { objectFrame } from '../support/relayWorld.ts'
import { oddJson, oddValue } from './oddJson.ts'
import type { Peer } from './peer.ts'
import type { Verdict } from './peerLies.ts'

/** Says HELLO by the rules: to a new session, or to the one before. */
export function greetRightly(peer: Peer, random: SeededRandom): Verdict {
  const isNew = peer.receivedFrames === 0 && peer.sentFrames === 0
  peer.hello(isNew || random.chance(0.1) ? null : peer.receivedFrames)
  // A group may be full, or a lie before the link was lost may be found out now.
  return 'either'
}

const requiredFields = [
  'version',
  'session',
  'name',
  'received',
  'groups',
  'broadcasts',
  'inboxBytes',
  'objectBytesMax',
]

/** What may be anything, or not be there. */
const leniently = ['epoch', 'reclaims', 'unresolved']

/** Says HELLO, or something else in its place, as no endpoint does. */
export function greetLying(peer: Peer, random: SeededRandom, others: readonly Peer[]): Verdict {
  peer.hasLied = true
  switch (random.integer(0, 8)) {
    case 0:
      peer.hello(random.pick([peer.receivedFrames + 1_000, Number.MAX_SAFE_INTEGER]))
      return 'either'
    case 1:
      peer.hello(0)
      return 'either'
    case 2: {
      // Takes the session of somebody else, who then knows as little of it.
      const victim = random.pick(others)
      victim.hasLied = true
      peer.hello(random.integer(0, 50), { session: victim.identity.session })
      return 'either'
    }
    case 3: {
      const field = random.pick(requiredFields)
      peer.hello(null, { [field]: random.pick([{ toString: 1 }, -1, [[[]]], 'x'.repeat(50_000)]) })
      return 'refused'
    }
    case 7: {
      const tooMany = Array.from({ length: 101 }, (_, index) => [2 * index, 2 * index])
      const unresolved = random.pick([
        [[3, 1]],
        [
          [0, 5],
          [5, 6],
        ],
        [[0, 2 ** 60]],
        [[0]],
        [['0', '1']],
        tooMany,
      ])
      peer.hello(null, { unresolved })
      return 'refused'
    }
    case 4:
      peer.hello(null, { [random.pick([...requiredFields, ...leniently])]: oddValue(random) })
      return 'either'
    case 5:
      peer.hello(null, { groups: random.pick([['\u0000'.repeat(9_000)], ['x'.repeat(60_000)], Array(9_000).fill('')]) })
      return 'refused'
    case 6:
      peer.phase = 'greeted'
      peer.write(encodeJson(FrameType.HELLO, oddJson(random)))
      return 'refused'
    default:
      peer.phase = 'greeted'
      peer.write(random.pick([encodeNotify('g', 1), objectFrame('produce', 'g', 0, 'x'), Buffer.alloc(50, 0xee)]))
      return 'refused'
  }
}
