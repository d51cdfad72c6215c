import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { main, Workshop } from './cliProcesses.ts'

let workshop: Workshop
let port: string

beforeAll(async () => {
  workshop = await Workshop.open()
  port = (await workshop.relay()).port
})
afterAll(() => workshop.close())

describe('files', () => {
  it('arrive whole under their names, and none is overwritten', async () => {
    const data = randomBytes(3_000_000)
    await writeFile(workshop.path('weights.bin'), data)
    await writeFile(workshop.path('empty.txt'), '')
    const files = ['--file', workshop.path('weights.bin'), '--file', workshop.path('empty.txt')]
    const sent = await workshop.run(['produce', '-p', port, '-g', 'files', ...files, '--json'])
    expect(JSON.parse(sent.stdout)).toMatchObject({ accepted: 2, bytes: 3_000_000 })
    await workshop.run(['produce', '-p', port, '-g', 'files', ...files])
    const folder = workshop.path('out')
    const received = await workshop.run(['receive', '-p', port, '-g', 'files', '-n', '4', '--output-dir', folder])
    expect(received.code, received.stderr).toBe(0)
    expect((await readdir(folder)).sort()).toEqual(['empty-2.txt', 'empty.txt', 'weights-2.bin', 'weights.bin'])
    expect(data.equals(await readFile(join(folder, 'weights-2.bin')))).toBe(true)
    expect(received.stdout.split('\n')[0]).toBe(join(folder, 'weights.bin'))
  })

  it('with hostile names stay in the folder', async () => {
    const file = (name: string): string =>
      JSON.stringify({ name, data: { $type: 'Uint8Array', base64: Buffer.from('x').toString('base64') } })
    const names = [
      '../../escape',
      '/etc/absolute',
      '..',
      '.hidden',
      'a\u0000b',
      'C:\\windows',
      'con.txt',
      'n'.repeat(999),
    ]
    expect((await workshop.run(['produce', '-p', port, '-g', 'hostile', ...names.map(file)])).code).toBe(0)
    const folder = workshop.path('deep', 'hostile')
    const count = String(names.length)
    const received = await workshop.run(['receive', '-p', port, '-g', 'hostile', '-n', count, '--output-dir', folder])
    expect(received.code, received.stderr).toBe(0)
    const written = await readdir(folder)
    expect(written).toHaveLength(names.length)
    expect(written.filter((name) => /^\.|[\\/:\0]/.test(name))).toEqual([])
    expect(await readdir(workshop.path('deep'))).toEqual(['hostile'])
  })

  it('go through pipes as they are', async () => {
    const data = randomBytes(100_000)
    const sent = await workshop.run(['broadcast', '-p', port, '-g', 'raw', '--input', 'raw', '--name', 'n'], {
      input: data,
    })
    expect(sent.code, sent.stderr).toBe(0)
    const receive = workshop.start(['receive', '-p', port, '-g', 'raw', '-n', '1', '--output', 'raw'])
    receive.child.stdout.setEncoding('latin1')
    expect((await receive.outcome).code).toBe(0)
    expect(Buffer.from(receive.stdout, 'latin1').equals(data)).toBe(true)
  })

  it('that are not there end the command with 2', async () => {
    const { code, stderr } = await workshop.run(['produce', '-p', port, '-g', 'files', '--file', workshop.path('none')])
    expect(code).toBe(2)
    expect(stderr).toMatch(/none cannot be read: there is no such file. \(FILE_UNREADABLE\)/)
  })
})

describe('the relay', () => {
  it('takes options from a config file, a verifier instead of the password, and says at its end what remained', async () => {
    const made = await workshop.run(['keys', 'verifier', '--out', workshop.path('relay.verifier')])
    expect(made.code, made.stderr).toBe(0)
    expect((await stat(workshop.path('relay.verifier'))).mode & 0o777).toBe(0o600)
    await writeFile(
      workshop.path('relay.json'),
      JSON.stringify({
        acceptedGroups: { only: {} },
        limits: { heartbeatMs: '2s' },
        passwordVerifier: workshop.path('relay.verifier'),
      }),
    )
    const relay = await workshop.relay(['--config', workshop.path('relay.json')], { OBJECTRELAY_PASSWORD: '' })
    expect((await workshop.run(['produce', '-p', relay.port, '-g', 'only', '1', '2'])).code).toBe(0)
    expect((await workshop.run(['produce', '-p', relay.port, '-g', 'other', '1'])).code).toBe(3)
    relay.child.kill('SIGTERM')
    const { code, stdout } = await relay.outcome
    expect(code).toBe(0)
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events.map(({ event }) => event)).toEqual(
      expect.arrayContaining(['endpointConnected', 'stopping', 'stopped']),
    )
    expect(Object.values(events.at(-1).undelivered)).toEqual([{ waiting: 2, leased: 0 }])
  })

  it('ends at once at a second signal while something is on its way', async () => {
    const relay = await workshop.relay(['--stop-deadline', '1h'])
    const receive = workshop.start(['receive', '-p', relay.port, '-g', 'stuck', '--notify', 'none'])
    await relay.untilSaid(/"groups":\["stuck"\]/)
    receive.child.kill('SIGSTOP')
    await writeFile(workshop.path('large'), Buffer.alloc(24_000_000))
    await workshop.run(['broadcast', '-p', relay.port, '-g', 'stuck', '--file', workshop.path('large')])
    relay.child.kill('SIGTERM')
    await relay.untilSaid(/"stopping"/)
    relay.child.kill('SIGTERM')
    expect((await relay.outcome).code).toBe(143)
  })

  it('warns of a weak password, and refuses a config file that shows its password to others', async () => {
    const weak = await workshop.relay([], { OBJECTRELAY_PASSWORD: 'hello' })
    await weak.untilSaid(/"warning".*password/)
    await writeFile(workshop.path('open.json'), JSON.stringify({ port: 0, password: 'x'.repeat(20) }))
    await chmod(workshop.path('open.json'), 0o644)
    const exposed = await workshop.run(['relay', '--config', workshop.path('open.json')])
    expect(exposed.code).toBe(2)
    expect(exposed.stderr).toMatch(/KEY_EXPOSED/)
  })

  it('reads its password from a file or from standard input', async () => {
    await writeFile(workshop.path('secret'), 'rope-lantern-quartz-91-violet\n', { mode: 0o600 })
    const fromFile = await workshop.relay(['--password-file', workshop.path('secret')], {
      OBJECTRELAY_PASSWORD: 'other',
    })
    expect((await workshop.run(['produce', '-p', fromFile.port, '-g', 'g', '1'])).code).toBe(0)
    const piped = await workshop.run(['produce', '-p', fromFile.port, '-g', 'g', '--password-stdin', '1'], {
      input: 'rope-lantern-quartz-91-violet\nmore',
      environment: { OBJECTRELAY_PASSWORD: '' },
    })
    expect(piped.code, piped.stderr).toBe(0)
  })
})

describe.skipIf(process.platform === 'win32')('SIGHUP', () => {
  it('makes a relay read its keys again, and does not end it', async () => {
    const keys = ['--keys-dir', workshop.path('hangup')]
    await workshop.run(['keys', 'generate', ...keys])
    const relay = await workshop.relay(keys)
    await rm(workshop.path('hangup'), { recursive: true })
    relay.child.kill('SIGHUP')
    await relay.untilSaid(/"warning".*KEY_UNREADABLE/)
    const made = await workshop.run(['keys', 'generate', ...keys, '--json'])
    const { fingerprint256 } = JSON.parse(made.stdout)
    relay.child.kill('SIGHUP')
    await relay.untilSaid(new RegExp(`"keysReloaded","fingerprint256":"${fingerprint256}"`))
    expect(relay.stdout).toMatch(new RegExp(`"certificateChanged","fingerprint256":"${fingerprint256}"`))
    const fetched = await workshop.run(['keys', 'fetch', '-p', relay.port, '--fingerprint', fingerprint256])
    expect(fetched.code, fetched.stderr).toBe(0)
    relay.child.kill('SIGTERM')
    expect((await relay.outcome).code).toBe(0)
  })
})

/** A user that the system does not know, as in a container: it has no home, and no folder of its own. */
const nobodyKnown = 54_321
// Only root can become another user, who must then be able to read this program.
const canBeAnotherUser =
  process.geteuid?.() === 0 &&
  spawnSync(process.execPath, ['-e', `require('node:fs').accessSync(${JSON.stringify(main)})`], {
    uid: nobodyKnown,
    gid: nobodyKnown,
  }).status === 0

describe.runIf(canBeAnotherUser)('a user without a home', () => {
  it('runs a relay, which keeps its keys in memory and says so', async () => {
    const relay = await workshop.relay([], { HOME: undefined, XDG_DATA_HOME: undefined }, nobodyKnown)
    expect(relay.stdout).toMatch(/"warning","code":"KEY_UNWRITABLE".*no home folder.*XDG_DATA_HOME.*--keys-dir/)
    expect((await workshop.run(['produce', '-p', relay.port, '-g', 'g', '1'])).code).toBe(0)
  })
})

describe('keys', () => {
  it('are made once, and shown', async () => {
    const folder = workshop.path('keys')
    const made = await workshop.run(['keys', 'generate', '--keys-dir', folder, '--hostname', 'relay.example', '--json'])
    expect(made.code, made.stderr).toBe(0)
    const shown = await workshop.run(['keys', 'show', '--json'], { environment: { OBJECTRELAY_KEYS_DIR: folder } })
    expect(JSON.parse(shown.stdout)).toMatchObject({
      ...JSON.parse(made.stdout),
      names: ['relay.example'],
      hasKey: true,
    })
    expect((await workshop.run(['keys', 'generate', '--keys-dir', folder])).code).toBe(2)
    const relay = await workshop.relay(['--keys-dir', folder])
    expect(relay.fingerprint).toBe(JSON.parse(made.stdout).fingerprint256)
  })
})
