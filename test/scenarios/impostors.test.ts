import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Endpoint, ObjectRelayError, Relay } from 'objectrelay'
import { afterEach, describe, expect, it } from 'vitest'
import { makeCertificate, makePrivateKey } from '../../src/security/certificate.ts'
import { failureOf } from '../support/failures.ts'
import { temporaryFolder, useDataFolder } from '../support/folders.ts'
import { type Impostor, impostors } from '../support/impostors.ts'
import { endpointEvent, host, Network, password, take } from '../support/network.ts'
import { freePort } from '../support/ports.ts'
import { eventually, within } from '../support/waiting.ts'

useDataFolder()
const reconnect = { initialDelayMs: 20, maxDelayMs: 100 }

/** What an endpoint was told while something else answered in its relay's place. */
interface Story {
  readonly codes: string[]
  readonly final: string[]
}

function listenTo(endpoint: Endpoint): Story {
  const story: Story = { codes: [], final: [] }
  endpoint.on('reconnecting', ({ error, attempt }) => {
    if (attempt > 0) story.codes.push(error.code)
  })
  endpoint.on('disconnected', ({ error }) => story.final.push(error.code))
  return story
}

async function keysFolder(): Promise<string> {
  const folder = join(await temporaryFolder(), 'keys')
  await mkdir(folder)
  const key = makePrivateKey()
  await writeFile(join(folder, 'key.pem'), key, { mode: 0o600 })
  await writeFile(join(folder, 'certificate.pem'), makeCertificate({ key, hostnames: [host], nowMs: Date.now() }))
  return folder
}

/** The relay goes, something else answers in its place until the endpoint has met it twice, and the relay returns. */
async function replaceForAWhile(
  relay: Relay,
  endpoint: Endpoint,
  beginImpostor: (port: number) => Promise<Impostor>,
  startAgain: (port: number) => Promise<Relay>,
): Promise<Story> {
  const { port } = relay
  const story = listenTo(endpoint)
  await relay.stop({ deadlineMs: 0 })
  const impostor = await beginImpostor(port)
  const before = story.codes.length
  await eventually(
    () => story.codes.length + story.final.length,
    (count) => count >= before + 3,
  )
  const connected = endpointEvent(endpoint, 'connected')
  await impostor.close()
  await startAgain(port)
  await within(connected, `the return of the endpoint, which was told ${story.codes.join()} and ${story.final.join()}`)
  return story
}

for (const io of ['thread', 'inline'] as const) {
  describe(`an endpoint that its relay has welcomed, with io: '${io}'`, () => {
    const network = new Network(io)
    afterEach(() => network.end())

    it.each(Object.entries(impostors))('comes back after %s answered at its address', async (_, begin) => {
      const relay = await network.relay()
      const endpoint = await network.connect(relay, { groups: 'g', reconnect })
      const story = await replaceForAWhile(relay, endpoint, begin, (port) => network.relay({ port }))
      expect(story.final).toEqual([])
      await endpoint.produce('goes on', 'g')
      await endpoint.notify('g')
      expect(await take(endpoint, 1)).toEqual(['goes on'])
    })

    it('comes back after a relay with another certificate answered, which its own does not trust', async () => {
      const [right, wrong] = [await keysFolder(), await keysFolder()]
      const relay = await network.relay({ keysDir: right })
      const endpoint = await network.connect(relay, { keysDir: right, hostname: host, reconnect })
      const story = await replaceForAWhile(
        relay,
        endpoint,
        async (port) => {
          const other = await Relay.start({ port, host, password, keysDir: wrong })
          return { close: () => other.stop({ deadlineMs: 0 }) }
        },
        (port) => network.relay({ port, keysDir: right }),
      )
      expect(story.codes).toContain('CERTIFICATE_UNTRUSTED')
      expect(story.final).toEqual([])
    })

    it('without TLS too, whatever answers', async () => {
      for (const name of ['a web server', 'a program that says everything back', 'a program that speaks TLS 1.2']) {
        const relay = await network.relay({ security: 'none' })
        const endpoint = await network.connect(relay, { security: 'none', reconnect })
        const begin = impostors[name]
        if (begin === undefined) throw new Error(`There is no impostor ${name}.`)
        const again = (port: number) => network.relay({ port, security: 'none' })
        expect((await replaceForAWhile(relay, endpoint, begin, again)).final, name).toEqual([])
      }
    })

    it('ends when the relay itself refuses it', async () => {
      const relay = await network.relay()
      const endpoint = await network.connect(relay, { groups: 'g', reconnect })
      const ended = endpointEvent(endpoint, 'disconnected')
      const { port } = relay
      await relay.stop({ deadlineMs: 0 })
      await network.relay({ port, acceptedGroups: { other: {} } })
      expect((await ended).error.code).toBe('GROUP_NOT_ACCEPTED')
    })
  })
}

describe('an endpoint that no relay has welcomed yet', () => {
  const network = new Network()
  afterEach(() => network.end())

  it.each([
    ['a web server', 'SECURITY_MISMATCH'],
    ['a program that speaks TLS and not our protocol', 'NOT_A_RELAY'],
    ['a program that speaks TLS 1.2', 'INCOMPATIBLE_VERSION'],
    ['a program that says everything back over TLS', 'PROTOCOL_VIOLATION'],
    ['a relay with another password', 'WRONG_PASSWORD'],
    ["a relay without TLS, with security: 'none'", 'SECURITY_MISMATCH'],
  ])('is told at once that it has found %s', async (name, code) => {
    const port = await freePort()
    const impostor = await impostors[name]?.(port)
    try {
      const failure = await within(
        failureOf(() => network.connect({ port }, { reconnect })),
        'the refusal',
      )
      expect(failure).toBeInstanceOf(ObjectRelayError)
      expect(failure.code).toBe(code)
    } finally {
      await impostor?.close()
    }
  })
})
