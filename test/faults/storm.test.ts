import { afterEach, beforeEach, expect, it } from 'vitest'
import { useDataFolder } from '../support/folders.ts'
import { host, password } from '../support/network.ts'
import { eventually } from '../support/waiting.ts'
import type { FaultyProxy } from './support/faultyProxy.ts'
import type { Party } from './support/party.ts'
import { countFor, Stage } from './support/stage.ts'

useDataFolder()

const endpointCount = countFor('FAULTS_STORM_ENDPOINTS', 500)
const processCount = 5

let stage: Stage
beforeEach(async () => {
  stage = await Stage.open()
})
afterEach(() => stage.close())

interface Crowd {
  readonly relay: Party
  readonly proxy: FaultyProxy
  readonly processes: readonly Party[]
}

async function crowd(): Promise<Crowd> {
  // A storm keeps two cores busy for seconds: the heartbeats are those of a normal relay, divided by five.
  const { relay, port } = await stage.relay({ limits: { heartbeatMs: 1_000, sessionGraceMs: 60_000 } })
  const proxy = await stage.proxy(port)
  const processes = Array.from({ length: processCount }, () => stage.party())
  const options = { host, port: proxy.port, password, groups: 'crowd' }
  const beganMs = performance.now()
  await Promise.all(
    processes.map((party, index) => {
      const names = Array.from({ length: endpointCount / processCount }, (_, at) => `${index}.${at}`)
      return party.ask('connectMany', { names, options, quiet: ['connecting'] })
    }),
  )
  console.log(`storm: ${endpointCount} endpoints connected in ${seconds(performance.now() - beganMs)}`)
  return { relay, proxy, processes }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`
}

/** Waits until every endpoint has resumed since `sinceMs`, and gives the time that it took. */
async function untilResumed({ relay, processes }: Crowd, sinceMs: number): Promise<number> {
  const resumed = () =>
    processes.flatMap(({ events }) => events).filter((one) => one.event === 'connected' && one.atMs >= sinceMs)
  const events = await eventually(resumed, ({ length }) => length >= endpointCount, 40_000)
  expect(events.every(({ value }) => value.resumed === true)).toBe(true)
  await eventually(
    async () => (await relay.relayStats()).endpoints,
    ({ connected, away }) => connected === endpointCount && away === 0,
  )
  return Math.max(...events.map(({ atMs }) => atMs)) - sinceMs
}

async function expectAllAreServed({ relay, processes }: Crowd): Promise<void> {
  await processes[0]?.ask('send', {
    name: '0.0',
    group: 'crowd',
    kind: 'broadcast',
    to: 1,
    journal: stage.journal('speaker'),
  })
  const stats = await relay.relayStats()
  expect(stats.groups.crowd?.members).toBe(endpointCount)
  expect(stats.endpoints.refused).toBe(0)
  for (const [index, party] of processes.entries()) {
    await eventually(
      async () => (await party.endpointStats(`${index}.0`)).inbox.objects,
      (objects) => objects === 1,
    )
  }
}

it(`resumes ${endpointCount} sessions after all their links were cut at once`, async () => {
  const cast = await crowd()
  const cutMs = Date.now()
  cast.proxy.cut()
  const tookMs = await untilResumed(cast, cutMs)
  console.log(`storm: ${endpointCount} endpoints resumed in ${seconds(tookMs)} after a cut`)
  await expectAllAreServed(cast)
}, 60_000)

it(`resumes ${endpointCount} sessions after the relay was frozen until all had noticed`, async () => {
  const cast = await crowd()
  cast.relay.signal('SIGSTOP')
  await eventually(
    () => cast.processes.reduce((sum, party) => sum + party.events.filter(isFirstLoss).length, 0),
    (lost) => lost >= endpointCount,
  )
  const thawedMs = Date.now()
  cast.relay.signal('SIGCONT')
  const tookMs = await untilResumed(cast, thawedMs)
  console.log(`storm: ${endpointCount} endpoints resumed in ${seconds(tookMs)} after the relay was frozen`)
  await expectAllAreServed(cast)
}, 60_000)

function isFirstLoss({ event, value }: { event: string; value: Readonly<Record<string, unknown>> }): boolean {
  return event === 'reconnecting' && value.attempt === 0
}
