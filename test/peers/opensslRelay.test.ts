import { execFileSync } from 'node:child_process'
import { afterEach, describe, expect, it } from 'vitest'
import { codeOf } from '../support/failures.ts'
import { temporaryFolder, useDataFolder } from '../support/folders.ts'
import { Network, take } from '../support/network.ts'

useDataFolder()
const network = new Network()
afterEach(() => network.end())

const command = 'req -newkey rsa:2048 -nodes -keyout key.pem -x509 -days 365 -out certificate.pem'

/** A folder with what exactly the command of the documentation makes: a common name, and no alternative names. */
async function madeByOpenssl(commonName: string, options = command): Promise<string> {
  const folder = await temporaryFolder()
  execFileSync('openssl', [...options.split(' '), '-subj', `/CN=${commonName}`], { cwd: folder, stdio: 'ignore' })
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
    const keysDir = await madeByOpenssl('relay', command.replace('-nodes', '-passout pass:test'))
    expect(await codeOf(() => network.relay({ keysDir }))).toBe('KEY_ENCRYPTED')
  })
})
