import {
  encodeAcknowledge,
  encodeReclaim,
  encodeRelease,
  encodeText,
  type ReclaimedLease,
} from '../../src/wire/controlFrames.ts'
import { FIRST_CLAIMED_LEASE, FrameType } from '../../src/wire/frameTypes.ts'
import type { SeededRandom } from '../simulation/random.ts'
import { frameOf } from '../support/frames.ts'
import type { Lie } from './peerLies.ts'

const MAX = Number.MAX_SAFE_INTEGER

/** A claim of nothing that there is. */
function strayClaim(random: SeededRandom, leaseNumber: number): ReclaimedLease {
  return {
    source: random.pick([0, 1, 2, 3, 0xffff_ffff]),
    sequence: random.pick([0, 1, 5, 2 ** 48 - 1]),
    groupIndex: random.pick([0, 1, 255]),
    isDead: random.chance(0.3),
    attempt: random.pick([0, 1, 2, 255]),
    leaseNumber,
  }
}

const claimLie: Lie = (peer, random) => {
  const numbers = [0, peer.nextLease, FIRST_CLAIMED_LEASE - 1]
  const short = Buffer.alloc(26)
  peer.send(
    random.pick([
      ...numbers.map((number) => encodeReclaim(strayClaim(random, number))),
      frameOf(FrameType.RECLAIM, short),
      frameOf(FrameType.RECLAIM, Buffer.alloc(27, 0xff)),
      frameOf(FrameType.RECLAIM_END, short),
      encodeAcknowledge(FIRST_CLAIMED_LEASE - 1, FIRST_CLAIMED_LEASE),
      encodeRelease(0, FIRST_CLAIMED_LEASE, { attemptCounted: true }),
      encodeAcknowledge(FIRST_CLAIMED_LEASE + 1, FIRST_CLAIMED_LEASE),
    ]),
  )
  return 'refused'
}

/** Of what it never had, and of what others have: nobody gets anything by it. */
const strayClaims: Lie = (peer, random, others) => {
  const number = FIRST_CLAIMED_LEASE + random.integer(1e6, 1e9)
  const foreign = others.filter((other) => other !== peer).flatMap(({ leases }) => [...leases.values()])
  for (const [index, { identity }] of foreign.slice(0, 200).entries())
    peer.send(encodeReclaim({ ...identity, leaseNumber: number + index }))
  for (let left = random.pick([1, 300]); left > 0; left--) peer.send(encodeReclaim(strayClaim(random, number)))
  // By chance, it may have claimed something of its own.
  return peer.reclaimDue ? 'either' : 'tolerated'
}

const claimTwice: Lie = (peer) => {
  const [lease] = peer.earlier
  if (lease === undefined || !peer.reclaimDue) return undefined
  peer.send(encodeReclaim(lease))
  peer.send(encodeReclaim(lease))
  for (const other of peer.earlier.slice(1)) peer.send(encodeReclaim({ ...other, leaseNumber: lease.leaseNumber }))
  // The first claim may have come too late, and is nothing then; equal ones claim nothing either.
  return 'either'
}

const claimAfterEnd: Lie = (peer) => {
  const earlier = peer.earlier.splice(0)
  peer.reclaimDue = false
  peer.send(encodeText(FrameType.RECLAIM_END, ''))
  for (const lease of earlier) peer.send(encodeReclaim(lease))
  peer.send(encodeText(FrameType.RECLAIM_END, ''))
  return 'tolerated'
}

/** Of claims that it never made; those that it has made stay as they are. */
const strangeSettlements: Lie = (peer, random) => {
  const from = FIRST_CLAIMED_LEASE + 1e12
  for (let left = random.pick([1, 500]); left > 0; left--) {
    const to = random.pick([from, from + 1, MAX])
    peer.send(
      random.chance(0.5)
        ? encodeAcknowledge(from, to)
        : encodeRelease(from, to, { attemptCounted: random.chance(0.5) }),
    )
  }
  return 'tolerated'
}

/** What an endpoint may say of leases of before a restart, and should not. */
export const claimLies: Readonly<Record<string, Lie>> = {
  'a claim that cannot be': claimLie,
  'claims of what it has not': strayClaims,
  'a claim twice': claimTwice,
  'claims behind their end': claimAfterEnd,
  'settlements of no claim': strangeSettlements,
}
