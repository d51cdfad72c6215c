import { afterEach, expect, it } from 'vitest'
import { useDataFolder } from '../support/folders.ts'
import { host, Network, password, take } from '../support/network.ts'
import { endPrograms, Program } from '../support/programs.ts'

useDataFolder()
const network = new Network()
afterEach(async () => {
  await network.end()
  await endPrograms()
})

/** The array in a hash that runs over it, a part at a time. */
const hashSource = `
import { createHash } from 'node:crypto'
const hashOf = (bytes) => {
  const hash = createHash('sha256')
  for (let at = 0; at < bytes.length; at += 1 << 24) hash.update(bytes.subarray(at, at + (1 << 24)))
  return hash.digest('hex')
}
`

it('carries a gigabyte from process to process, while small objects pass and links stay up', {
  timeout: 60_000,
}, async () => {
  const relay = new Program(
    `const relay = await Relay.start({ ...settings, port: 0, limits: { heartbeatMs: 500 } })
     relay.on('endpointLost', ({ error }) => say('lost', error))
     say('listens', relay.port)`,
    { host, password },
  )
  const port = Number(await relay.heard('listens'))
  const settings = { host, port, password }
  const receiver = new Program(
    `${hashSource}
     const endpoint = await Endpoint.connect({ ...settings, groups: 'gigabyte' })
     await endpoint.notify('gigabyte')
     say('ready')
     const [{ bytes, name }] = await endpoint.pop({ blocking: true })
     say('received', { length: bytes.length, name, hash: hashOf(bytes), linksLost: endpoint.stats().linksLost })
     await endpoint.stop()`,
    settings,
  )
  await receiver.heard('ready')
  const sender = new Program(
    `${hashSource}
     const endpoint = await Endpoint.connect(settings)
     const bytes = new Uint8Array(2 ** 30)
     const words = new Uint32Array(bytes.buffer)
     for (let index = 0, state = 1; index < words.length; index++) words[index] = state = Math.imul(state, 1664525) + 1013904223
     say('hash', hashOf(bytes))
     await endpoint.produce({ name: 'a gigabyte', bytes }, 'gigabyte', { transfer: true })
     say('accepted', endpoint.stats().linksLost)
     await endpoint.stop()`,
    settings,
  )
  const hash = await sender.heard('hash')
  const accepted = sender.heard('accepted', 50_000)
  let over = false
  void accepted.finally(() => {
    over = true
  })
  const small = await network.connect({ port }, { groups: 'small' })
  const times: number[] = []
  while (!over) {
    const before = performance.now()
    await small.broadcast(times.length, 'small')
    expect(await take(small, 1)).toEqual([times.length])
    times.push(performance.now() - before)
  }
  expect(await accepted).toBe(0)
  const length = 2 ** 30
  expect(await receiver.heard('received', 50_000)).toEqual({ length, name: 'a gigabyte', hash, linksLost: 0 })
  expect(times.length, 'small objects that passed meanwhile').toBeGreaterThan(10)
  times.sort((one, other) => one - other)
  expect(times[Math.floor(times.length / 2)], 'half of them took, in ms').toBeLessThan(100)
  expect(await Promise.all([sender.exited, receiver.exited])).toEqual([
    { code: 0, signal: null },
    { code: 0, signal: null },
  ])
})
