import type { RelayEvents } from 'objectrelay'
import { afterEach, describe, expect, it } from 'vitest'
import { useDataFolder } from '../support/folders.ts'
import { host, Network, password, relayEvent } from '../support/network.ts'
import { endPrograms, Program } from '../support/programs.ts'
import { within } from '../support/waiting.ts'

useDataFolder()
const network = new Network()
afterEach(async () => {
  await endPrograms()
  await network.end()
})

/** The only member that its group may have; says what becomes of it. */
function singleton(port: number, name: string): Program {
  return new Program(
    `const on = {
       connecting: ({ error }) => error && say('connecting', { code: error.code, ...error.details }),
       reconnecting: ({ error }) => say('reconnecting', error.code),
       disconnected: ({ error }) => say('disconnected', error.code),
     }
     const endpoint = await Endpoint.connect({ ...settings, on })
     say('connected')
     endpoint.on('connected', () => say('back'))
     process.stdin.once('data', () => {
       process.stdin.destroy()
       void endpoint.stop()
     })`,
    { host, port, password, name, groups: 'one', reconnect: { initialDelayMs: 50, maxDelayMs: 200 } },
  )
}

const acceptedGroups = { one: { maxCount: 1 } }

describe('the only member of a group that may have one', () => {
  it('comes up when it is restarted at once after a kill, as soon as the grace time of its predecessor is over', async () => {
    const sessionGraceMs = 2_500
    const relay = await network.relay({ acceptedGroups, limits: { sessionGraceMs } })
    const first = singleton(relay.port, 'first')
    await first.heard('connected')
    const lost = relayEvent(relay, 'endpointLost')
    first.kill('SIGKILL')
    await lost
    const lostMs = performance.now()
    const second = singleton(relay.port, 'second')
    expect(await second.heard('connecting')).toMatchObject({ code: 'GROUP_FULL', group: 'one' })
    await second.heard('connected')
    const awayMs = performance.now() - lostMs
    expect(awayMs).toBeGreaterThan(sessionGraceMs - 100)
    expect(awayMs).toBeLessThan(sessionGraceMs + 2_000)
    expect((await relay.stats()).sessions).toMatchObject([{ name: 'second', state: 'attached' }])
  })

  it('waits when its place was taken while its machine slept, and comes back when it is free again', async () => {
    const relay = await network.relay({ acceptedGroups, limits: { heartbeatMs: 200, sessionGraceMs: 500 } })
    const events: RelayEvents['endpointLeft'][] = []
    relay.on('endpointLeft', (event) => events.push(event))
    const sleeper = singleton(relay.port, 'sleeper')
    await sleeper.heard('connected')
    const left = relayEvent(relay, 'endpointLeft', ({ name }) => name === 'sleeper')
    sleeper.kill('SIGSTOP')
    expect(await left).toMatchObject({ reason: 'grace' })
    const taker = singleton(relay.port, 'taker')
    await taker.heard('connected')
    sleeper.kill('SIGCONT')
    let told: unknown
    while (told !== 'GROUP_FULL') told = await sleeper.heard('reconnecting')
    taker.say('stop')
    await sleeper.heard('back')
    expect(await within(taker.exited, 'the end of the taker')).toEqual({ code: 0, signal: null })
    sleeper.say('stop')
    expect(await within(sleeper.exited, 'the end of the sleeper')).toEqual({ code: 0, signal: null })
  })
})
