import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../clock.fixture.ts'
import { makeCertificate, makePrivateKey } from './certificate.ts'
import { keySourceOf } from './keySource.ts'
import { LiveKeys } from './liveKeys.ts'

const dayMs = 24 * 60 * 60 * 1000
const validMs = 3_650 * dayMs
const parent = await mkdtemp(join(tmpdir(), 'live-keys-'))
let folder: string
let count = 0

beforeEach(async () => {
  count += 1
  folder = join(parent, String(count))
  await mkdir(folder)
})
afterAll(() => rm(parent, { recursive: true, force: true }))

const pairOf = (nowMs: number, key = makePrivateKey()) => ({
  key,
  certificate: makeCertificate({ key, hostnames: ['relay'], nowMs }),
})

async function put(files: { key?: string; certificate?: string }, into = folder): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(into, `${name}.pem`)
    await writeFile(`${path}.new`, text, { mode: 0o600 })
    await rename(`${path}.new`, path)
  }
}

/** Keys that are looked after in a time of the test's own, and what was told of them. */
class Watch {
  readonly clock: FakeClock = new FakeClock()
  readonly told: string[] = []
  keys: LiveKeys | undefined

  async open({ keysDir }: { keysDir: string | undefined } = { keysDir: folder }): Promise<LiveKeys> {
    const told = (text: string) => this.told.push(text)
    const source = keySourceOf(keysDir, ({ code }) => told(code))
    this.keys = await LiveKeys.open({
      source,
      clock: this.clock,
      events: {
        changed: () => told('changed'),
        unfit: ({ code }) => told(code),
        expiry: (state) => told(state),
      },
    })
    this.keys.watch()
    return this.keys
  }

  /** Lets the time of one look at the files pass, and the look itself. */
  async look(ms = 5_000): Promise<void> {
    this.clock.advance(ms)
    while (this.clock.timers === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('the keys of a relay that runs', () => {
  it('are those of the files, as soon as both were replaced', async () => {
    const watch = new Watch()
    const [first, second] = [pairOf(watch.clock.dateMs()), pairOf(watch.clock.dateMs())]
    await put(first)
    const keys = await watch.open()
    await watch.look()
    await put({ key: second.key })
    await watch.look()
    // The certificate may be about to follow.
    expect([watch.told, keys.current.key]).toEqual([[], first.key])
    await put({ certificate: second.certificate })
    await watch.look()
    await watch.look()
    expect([watch.told, keys.current]).toMatchObject([['changed'], second])
    keys.close()
    expect(watch.clock.timers).toBe(0)
  })

  it('follow a link that is turned to another folder, as Kubernetes does', async () => {
    const watch = new Watch()
    const versions = ['first', 'second'].map((name) => join(folder, name))
    for (const version of versions) {
      await mkdir(version)
      await put(pairOf(watch.clock.dateMs()), version)
    }
    await symlink('first', join(folder, 'data'))
    for (const name of ['key.pem', 'certificate.pem']) await symlink(join('data', name), join(folder, name))
    const keys = await watch.open()
    const { fingerprint256 } = keys.current
    await symlink('second', join(folder, 'data.new'))
    await rename(join(folder, 'data.new'), join(folder, 'data'))
    await watch.look()
    expect(watch.told).toEqual(['changed'])
    expect(keys.current.fingerprint256).not.toBe(fingerprint256)
    keys.close()
  })

  it('stay when the files become unfit, which is told once for each change, and return to life with them', async () => {
    const watch = new Watch()
    const [first, second] = [pairOf(watch.clock.dateMs()), pairOf(watch.clock.dateMs())]
    await put(first)
    const keys = await watch.open()
    await put({ certificate: second.certificate })
    for (let look = 0; look < 4; look++) await watch.look()
    expect(watch.told).toEqual(['KEY_MISMATCH'])
    await expect(keys.reload()).rejects.toMatchObject({ code: 'KEY_MISMATCH' })
    await put({ certificate: 'no certificate' })
    for (let look = 0; look < 4; look++) await watch.look()
    await rm(join(folder, 'key.pem'))
    for (let look = 0; look < 4; look++) await watch.look()
    expect([watch.told, keys.current]).toMatchObject([['KEY_MISMATCH', 'KEY_INVALID', 'KEY_UNREADABLE'], first])
    await put(second)
    await watch.look()
    await watch.look()
    expect(watch.told.slice(3)).toEqual(['changed'])
    expect(keys.current).toMatchObject(second)
    keys.close()
  })

  it('are told of before their certificate expires and when it does, until there is a new one', async () => {
    const watch = new Watch()
    const key = makePrivateKey()
    await put(pairOf(watch.clock.dateMs() - validMs + 2 * dayMs, key))
    const keys = await watch.open()
    await watch.look()
    expect(watch.told).toEqual(['expiring'])
    await watch.look(dayMs)
    await watch.look(dayMs)
    expect(watch.told).toEqual(['expiring', 'expiring', 'expired'])
    await put(pairOf(watch.clock.dateMs(), key))
    await watch.look(dayMs)
    await watch.look(dayMs)
    expect(watch.told.slice(3)).toEqual(['changed'])
    keys.close()
  })
})

describe('the keys of a relay of its own', () => {
  const dataHome = process.env.XDG_DATA_HOME
  afterAll(() => {
    if (dataHome === undefined) delete process.env.XDG_DATA_HOME
    else process.env.XDG_DATA_HOME = dataHome
  })

  it('are renewed while it runs, with the same key', async () => {
    process.env.XDG_DATA_HOME = folder
    const watch = new Watch()
    const keys = await watch.open({ keysDir: undefined })
    const { key } = keys.current
    await watch.look(validMs - 31 * dayMs)
    expect(watch.told).toEqual([])
    await watch.look(dayMs + 1)
    await watch.look()
    expect([watch.told, keys.current.key]).toEqual([['changed'], key])
    keys.close()
  })

  it('are in memory when they cannot be kept, and renewed there', async () => {
    // A file in the place of a folder stops root, too.
    await writeFile(join(folder, 'file'), '')
    process.env.XDG_DATA_HOME = join(folder, 'file')
    const watch = new Watch()
    const keys = await watch.open({ keysDir: undefined })
    expect(watch.told).toEqual(['KEY_UNWRITABLE'])
    const { key, certificate } = keys.current
    await watch.look()
    expect(await keys.reload()).toMatchObject({ key })
    await watch.look(validMs - 29 * dayMs)
    await watch.look()
    expect([watch.told.at(-1), keys.current.key]).toEqual(['changed', key])
    expect(keys.current.certificate).not.toBe(certificate)
    keys.close()
  })
})
