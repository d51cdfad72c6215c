import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { channelBindingOf } from '../../src/security/channelProof.ts'
import { EndpointProof } from '../../src/security/endpointProof.ts'
import { loadPasswordProof } from '../../src/security/passwordLogin.ts'
import { proofMessageTypes } from '../../src/security/proofMessages.ts'
import { encodeProofFrame } from '../../src/wire/proofFrame.ts'
import { useDataFolder } from '../support/folders.ts'
import { host, password } from '../support/network.ts'
import { RawPeer } from '../support/rawPeer.ts'
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

/**
 * A storm keeps two cores busy for seconds, and for longer when they have other work. That a relay is busy is no reason to refuse
 * anybody: `handshakeMs` is as usual.
 */
const limits = { heartbeatMs: 2_000, sessionGraceMs: 60_000 }

interface Crowd {
  readonly relay: Party
  readonly port: number
  readonly proxy: FaultyProxy
  readonly processes: readonly Party[]
}

async function crowd(): Promise<Crowd> {
  const { relay, port } = await stage.relay({ limits })
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
  // The last of them may connect in the very millisecond in which the storm begins: these events are not of the storm.
  const connected = () => processes.reduce((sum, party) => sum + party.count('connected'), 0)
  await eventually(connected, (count) => count === endpointCount)
  for (const { events } of processes) events.length = 0
  return { relay, port, proxy, processes }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`
}

/** Waits until every endpoint is connected again since `sinceMs`, all `resumed` or none, and gives the time that it took. */
async function untilConnected({ relay, processes }: Crowd, sinceMs: number, resumed = true): Promise<number> {
  const connected = () =>
    processes.flatMap(({ events }) => events).filter((one) => one.event === 'connected' && one.atMs >= sinceMs)
  const events = await eventually(connected, ({ length }) => length >= endpointCount, 80_000)
  const others = events.filter(({ value }) => value.resumed !== resumed)
  expect(others.map(({ name, atMs }) => `${name} after ${atMs - sinceMs} ms`)).toEqual([])
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
  const tookMs = await untilConnected(cast, cutMs)
  console.log(`storm: ${endpointCount} endpoints resumed in ${seconds(tookMs)} after a cut`)
  await expectAllAreServed(cast)
}, 120_000)

it(`resumes ${endpointCount} sessions after the relay was frozen until all had noticed`, async () => {
  const cast = await crowd()
  cast.relay.signal('SIGSTOP')
  await eventually(
    () => cast.processes.reduce((sum, party) => sum + party.events.filter(isFirstLoss).length, 0),
    (lost) => lost >= endpointCount,
  )
  const thawedMs = Date.now()
  cast.relay.signal('SIGCONT')
  const tookMs = await untilConnected(cast, thawedMs)
  console.log(`storm: ${endpointCount} endpoints resumed in ${seconds(tookMs)} after the relay was frozen`)
  await expectAllAreServed(cast)
}, 120_000)

it(`takes ${endpointCount} endpoints back, refusing none, after the relay was killed and started anew`, async () => {
  const cast = await crowd()
  await cast.relay.kill()
  const successor = stage.party()
  const startedMs = Date.now()
  await stage.startRelay(successor, { port: cast.port, limits })
  const tookMs = await untilConnected({ ...cast, relay: successor }, startedMs, false)
  console.log(`storm: ${endpointCount} endpoints joined a new relay in ${seconds(tookMs)}`)
  await expectAllAreServed({ ...cast, relay: successor })
}, 120_000)

it('takes what came while the relay could not read for no silence', async () => {
  const { relay, port } = await stage.relay({ limits: { ...limits, handshakeMs: 600 } })
  const peer = await RawPeer.connect({ port })
  relay.signal('SIGSTOP')
  await loadPasswordProof()
  const proof = new EndpointProof({ password, channelBinding: channelBindingOf(peer.socket) })
  peer.send(encodeProofFrame(proof.start()))
  await pause(1_500)
  relay.signal('SIGCONT')
  const { type } = await peer.next()
  expect(type).toBe(proofMessageTypes.LOGIN_RESPONSE)
  peer.socket.destroy()
})

it('lets a thousand endpoints of one process in that all begin at once, beside a process that guesses', async () => {
  const { relay, port } = await stage.relay({ limits })
  const guesser = stage.party()
  let isOver = false
  const guess = async () => {
    for (let round = 0; !isOver; round++) {
      const options = { host, port, password: `${password} ${round}`, connectTimeoutMs: 5_000 }
      await guesser.ask('connect', { name: `guess ${round}`, options, quiet: ['connecting'] }).catch(() => undefined)
    }
  }
  const guessing = guess()
  const party = stage.party()
  const beganMs = performance.now()
  const names = Array.from({ length: 1_000 }, (_, at) => `${at}`)
  await party.ask('connectMany', { names, options: { host, port, password, groups: 'crowd' } })
  console.log(`storm: 1 000 endpoints of one process connected in ${seconds(performance.now() - beganMs)}`)
  const stats = await relay.relayStats()
  expect(stats.groups.crowd?.members).toBe(1_000)
  // None of them was turned away, or took a busy relay for one that is not there: no attempt failed.
  expect(party.events.filter(({ event }) => event === 'connecting')).toEqual([])
  isOver = true
  await guessing
}, 90_000)

function isFirstLoss({ event, value }: { event: string; value: Readonly<Record<string, unknown>> }): boolean {
  return event === 'reconnecting' && value.attempt === 0
}
