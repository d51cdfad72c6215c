import { execFileSync } from 'node:child_process'
import { afterEach, describe, expect, it } from 'vitest'
import { codeOf, failureOf } from '../support/failures.ts'
import { temporaryFolder, useDataFolder } from '../support/folders.ts'
import { Network, take } from '../support/network.ts'

useDataFolder()
const network = new Network()
afterEach(() => network.end())

const command = 'req -newkey rsa:2048 -nodes -keyout key.pem -x509 -days 365 -out certificate.pem'
const names = 'subjectAltName=DNS:relay.example,IP:192.0.2.7,IP:2001:db8::7'

/** A folder with what exactly the command of the documentation makes: a common name, and no alternative names. */
async function madeByOpenssl(commonName: string, options = command.split(' ')): Promise<string> {
  const folder = await temporaryFolder()
  execFileSync('openssl', [...options, '-subj', `/CN=${commonName}`], { cwd: folder, stdio: 'ignore' })
  return folder
}

describe('a relay with keys that openssl made', () => {
  it('is verified by its common name, and by no other', async () => {
    const keysDir = await madeByOpenssl('relay.example')
    const relay = await network.relay({ keysDir })
    const receiver = await network.connect(relay, { keysDir, hostname: 'relay.example', groups: 'g' })
    const sender = await network.connect(relay, { keysDir, hostname: 'relay.example', io: 'inline' })
    await sender.broadcast('verified', 'g')
    expect(await take(receiver, 1)).toEqual(['verified'])
    expect(await codeOf(() => network.connect(relay, { keysDir, hostname: 'other.example' }))).toBe(
      'CERTIFICATE_WRONG_HOST',
    )
    expect(await codeOf(() => network.connect(relay, { keysDir }))).toBe('CERTIFICATE_WRONG_HOST')
  })

  it('is verified by an address as its common name, as the one command of the documentation makes it', async () => {
    const keysDir = await madeByOpenssl('127.0.0.1')
    const relay = await network.relay({ keysDir })
    await network.connect(relay, { keysDir })
    await network.connect(relay, { keysDir, host: 'localhost', hostname: '127.0.0.1' })
    for (const hostname of ['127.0.0.2', '::1', 'localhost']) {
      expect(await codeOf(() => network.connect(relay, { keysDir, hostname }))).toBe('CERTIFICATE_WRONG_HOST')
    }
  })

  it('is verified by its address and by its names, as the other command of the documentation makes it', async () => {
    const keysDir = await madeByOpenssl('relay', [...command.split(' '), '-addext', names])
    const relay = await network.relay({ keysDir })
    for (const hostname of ['relay.example', '192.0.2.7', '2001:db8:0:0::7']) {
      await network.connect(relay, { keysDir, hostname })
    }
    // Where there are alternative names, the common name is none of them; and the address is asked for in the right place.
    const failure = await failureOf(() => network.connect(relay, { keysDir }))
    expect(failure).toMatchObject({ code: 'CERTIFICATE_WRONG_HOST' })
    expect(failure.message).toContain('subjectAltName=IP:127.0.0.1')
    expect(await codeOf(() => network.connect(relay, { keysDir, hostname: 'relay' }))).toBe('CERTIFICATE_WRONG_HOST')
  })

  it('is refused by an endpoint that has another certificate of that name', async () => {
    const relay = await network.relay({ keysDir: await madeByOpenssl('relay.example') })
    const keysDir = await madeByOpenssl('relay.example')
    expect(await codeOf(() => network.connect(relay, { keysDir, hostname: 'relay.example' }))).toBe(
      'CERTIFICATE_UNTRUSTED',
    )
  })

  it('needs no certificate on the endpoint: the password alone proves it', async () => {
    const relay = await network.relay({ keysDir: await madeByOpenssl('relay.example') })
    const endpoint = await network.connect(relay)
    expect(await endpoint.broadcast('in', 'g')).toEqual({ members: { g: 0 } })
  })

  it('does not start with a key under a passphrase', async () => {
    const keysDir = await madeByOpenssl('relay', command.replace('-nodes', '-passout pass:test').split(' '))
    expect(await codeOf(() => network.relay({ keysDir }))).toBe('KEY_ENCRYPTED')
  })
})
