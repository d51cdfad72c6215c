import { relayLimitDefaults } from 'objectrelay'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { useDataFolder } from '../support/folders.ts'
import { eventually } from '../support/waiting.ts'
import type { Party } from './support/party.ts'
import { countFor, Stage } from './support/stage.ts'

useDataFolder()

const MiB = 1024 * 1024
const objectBytes = 64 * 1024
/** So many at once are within the bound of a member that reads. */
const roundCount = 48
const roundsTotal = Math.ceil((countFor('FAULTS_BROADCAST_MIB', 200) * MiB) / objectBytes / roundCount)
const count = roundsTotal * roundCount
const memberBacklogBytesMax = 4 * MiB
const inboxBytesMax = 2 * MiB
/** The bounds of what may wait in the relay: what comes from one sender, and what goes to three members. */
const boundBytes = relayLimitDefaults.sendWindowBytes + 3 * (memberBacklogBytesMax + inboxBytesMax)
/**
 * What the relay may have beyond its bounds: buffers of its sockets, and what is garbage and not collected. Bounds and
 * margin together were recorded at 40 to 60 MiB, for 200 MiB as for 1 GiB of broadcasts.
 */
const marginBytes = 64 * MiB

let stage: Stage
beforeEach(async () => {
  stage = await Stage.open()
})
afterEach(() => stage.close())

interface Hall {
  readonly relay: Party
  readonly speaker: Party
  readonly frozen: Party
  /** What the relay had before anything was said. */
  readonly idleBytes: number
}

/** What sleeps: the whole process, heartbeats and all; or the program only, which takes nothing out of its inbox. */
type Sleeper = 'process' | 'program'

/** A group of two that listen and one who sleeps before the first word. */
async function hall({ broadcasts, sleeper }: { broadcasts: 'every' | 'latest'; sleeper: Sleeper }): Promise<Hall> {
  const { relay, port } = await stage.relay({ limits: { memberBacklogBytesMax, sessionGraceMs: 60_000 } })
  const options = { port, groups: 'hall', limits: { inboxBytesMax } }
  const speaker = await stage.endpoint('speaker', { port })
  for (const name of ['first', 'second']) {
    const listener = await stage.endpoint(name, options)
    await listener.ask('consume', { name, group: 'hall', credit: 0, journal: stage.journal(name) })
  }
  const frozen = await stage.endpoint('frozen', { ...options, broadcasts })
  if (sleeper === 'process') frozen.signal('SIGSTOP')
  return { relay, speaker, frozen, idleBytes: await relay.residentBytes() }
}

/**
 * Broadcasts everything, each round as soon as those who read have the one before, and says how long it took and how much
 * memory the relay had at most.
 */
async function broadcastAll({ relay, speaker }: Hall): Promise<{ tookMs: number; peakBytes: number }> {
  let peakBytes = 0
  const watch = setInterval(async () => {
    peakBytes = Math.max(peakBytes, await relay.residentBytes())
  }, 50)
  try {
    const order = { name: 'speaker', group: 'hall', kind: 'broadcast', bytes: objectBytes }
    const beganMs = performance.now()
    for (let from = 0; from < count; from += roundCount) {
      const to = from + roundCount
      const outcome = await speaker.send({ ...order, from, to, journal: stage.journal('speaker') })
      expect(outcome).toMatchObject({ accepted: roundCount, failed: {} })
      await stage.untilLines('first', to)
      await stage.untilLines('second', to)
    }
    return { tookMs: performance.now() - beganMs, peakBytes }
  } finally {
    clearInterval(watch)
  }
}

const sleepers = ['process', 'program'] as const

it.for(sleepers)('keeps for a frozen %s no more than its bound, and tells it what it missed', async (sleeper) => {
  const cast = await hall({ broadcasts: 'every', sleeper })
  const { tookMs, peakBytes } = await broadcastAll(cast)
  const backlogs = (await cast.relay.relayStats()).sessions.map(({ backlogBytes }) => backlogBytes)
  expect(Math.max(...backlogs)).toBeGreaterThan(memberBacklogBytesMax - 2 * objectBytes)
  expect(Math.max(...backlogs)).toBeLessThanOrEqual(memberBacklogBytesMax)
  const growthBytes = peakBytes - cast.idleBytes
  const rate = (count * objectBytes) / MiB / (tookMs / 1_000)
  console.log(
    `frozen ${sleeper}: ${count} broadcasts of 64 KiB at ${rate.toFixed(0)} MiB/s, relay ${(peakBytes / MiB).toFixed(0)} MiB, ${(growthBytes / MiB).toFixed(0)} MiB above idle`,
  )
  expect(growthBytes).toBeLessThan(boundBytes + marginBytes)
  await wake(cast, sleeper)
  await eventually(
    () => lastOf('frozen'),
    (last) => last === count - 1,
  )
  const ledger = stage.ledger()
  const heard = ledger.arrivals.map((arrivals) => arrivals.length).sort((left, right) => left - right)
  const [byFrozen = 0] = heard
  expect(heard.slice(1)).toEqual([count, count])
  // Each broadcast either came to it or is counted in a gap.
  expect(byFrozen + ledger.skipped).toBe(count)
  expect(ledger.skipped).toBeGreaterThan(0)
  expect(ledger.verdict({ speaker: count })).toMatchObject({ lost: 0, unexpected: 0, outOfOrder: 0 })
})

it('keeps one broadcast for a frozen member that wants the latest, and no more', async () => {
  const cast = await hall({ broadcasts: 'latest', sleeper: 'process' })
  await broadcastAll(cast)
  await eventually(
    async () => (await cast.relay.relayStats()).sessions.find(({ state }) => state === 'detached'),
    (session) => session !== undefined && session.backlog === 1,
  )
  await wake(cast, 'process')
  await eventually(
    () => lastOf('frozen'),
    (last) => last === count - 1,
  )
  expect(stage.ledger().verdict({ speaker: count })).toMatchObject({ unexpected: 0, outOfOrder: 0 })
})

/** The sleeper goes on, and takes what waits for it. */
async function wake({ frozen }: Hall, sleeper: Sleeper): Promise<void> {
  if (sleeper === 'process') {
    frozen.signal('SIGCONT')
    await frozen.heard('connected', ({ value }) => value.resumed === true)
  }
  await frozen.ask('consume', { name: 'frozen', group: 'hall', credit: 0, journal: stage.journal('frozen') })
}

/** The number of the last object that came to `name`. */
function lastOf(name: string): number {
  const last = stage.lines(name).at(-1) ?? ''
  return Number(last.split(' ')[2] ?? -1)
}
