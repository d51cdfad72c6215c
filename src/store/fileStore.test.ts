import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openFilesIn } from '../../test/support/openFiles.ts'
import { fileStore, openStore } from './fileStore.ts'
import type { Store } from './store.ts'
import { beginOf, bodyOf, writeBody } from './storedBody.fixture.ts'
import { frameOf } from './storeWitness.fixture.ts'

const MARKER = 'objectrelay-store.json'

let parent: string
let dir: string
let stores: Store[]
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'file-store-'))
  dir = join(parent, 'deep', 'store')
  stores = []
})
afterEach(async () => {
  for (const store of stores) await store.close().catch(() => undefined)
  rmSync(parent, { recursive: true, force: true })
})

async function opened(folder = dir): Promise<Store> {
  const { options } = fileStore({ dir: folder, durability: 'written' })
  const store = await openStore(options, { report: () => undefined })
  stores.push(store)
  return store
}

/** A store that was used and is closed. */
async function used(): Promise<void> {
  const store = await opened()
  const frame = frameOf(1, 100)
  store.journal.queued(store.keep(frame, 0, frame.length), 'group', 0, 1, 1)
  await store.commit()
  await store.close()
}

function isCode(code: string): object {
  return expect.objectContaining({ code })
}

describe('fileStore', () => {
  it('checks its options at once, in the thread of the program', () => {
    expect(fileStore({ dir: 'relative' }).options).toMatchObject({
      dir: join(process.cwd(), 'relative'),
      durability: 'synced',
    })
    for (const options of [
      { dir: '' },
      { dir: 'a\0b' },
      { dir, bytesMax: 10 },
      { dir, size: 1 },
      { dir, durability: 'fast' },
    ]) {
      // @ts-expect-error Programs without types give anything.
      expect(() => fileStore(options)).toThrow(isCode('INVALID_OPTION'))
    }
    // @ts-expect-error The same.
    expect(() => fileStore()).toThrow(isCode('INVALID_OPTION'))
  })

  it('leaves no file open when it is closed, whatever is still being written or read', async () => {
    const store = await opened()
    const body = bodyOf(1, 3_000_000)
    const whole = store.keepLarge(beginOf(1, body.length), body.length)
    await writeBody(whole, body)
    await whole.finish()
    const reader = whole.openReader(() => undefined)
    await vi.waitFor(() => expect(reader.availableBytes).toBeGreaterThan(0))
    const partial = store.keepLarge(beginOf(2, body.length), body.length)
    partial.writeAt(0, body.subarray(0, 262_144))
    const bodies = join(dir, 'bodies')
    if (process.platform === 'linux') await vi.waitFor(() => expect(openFilesIn(bodies).length).toBeGreaterThan(1))
    await store.close()
    expect(openFilesIn(dir)).toEqual([])
  })
})

describe('the folder of a store', () => {
  it('is made, for this user only', async () => {
    await opened()
    expect(readdirSync(dir).sort()).toEqual(['bodies', 'log', MARKER, 'owner.json', 'relay.socket', 'ticket.key'])
    if (process.platform === 'win32') return
    for (const path of [dir, join(dir, 'bodies'), join(dir, 'log')]) expect(statSync(path).mode & 0o777).toBe(0o700)
    for (const name of ['owner.json', MARKER, 'ticket.key']) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600)
  })

  it('is refused if there is something else in it, which stays as it is', async () => {
    mkdirSync(dir, { recursive: true })
    writeFileSync(join(dir, 'photo.jpg'), 'photo')
    await expect(opened()).rejects.toMatchObject({
      code: 'STORE_FOREIGN',
      message: expect.stringContaining('photo.jpg'),
    })
    expect(readdirSync(dir)).toEqual(['photo.jpg'])
    const file = join(dir, 'photo.jpg')
    await expect(opened(file)).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    await expect(opened(join(file, 'below'))).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
  })

  it.skipIf(process.platform !== 'linux')('is refused where nothing can be made', async () => {
    await expect(opened('/proc/store/of/a/relay')).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
  })

  it('may be an empty one, even at the root of a disk', async () => {
    mkdirSync(join(dir, 'lost+found'), { recursive: true })
    await opened()
  })

  it('is refused if it is of a later format', async () => {
    await used()
    writeFileSync(join(dir, MARKER), JSON.stringify({ store: 'objectrelay', format: 3 }))
    await expect(opened()).rejects.toMatchObject({ code: 'STORE_VERSION', details: { version: 3, known: 2 } })
  })

  it.each([
    '',
    'x',
    '{}',
    '[]',
    '{"store":"objectrelay","format":1,"key":1,"end":null}',
    '{"store":"objectrelay","format":2,"key":-1,"end":null}',
    'x'.repeat(5_000),
  ])('is refused if its marker says %j', async (text) => {
    await used()
    writeFileSync(join(dir, MARKER), text)
    await expect(opened()).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  })

  it('is refused if its log is missing, empty or cut off', async () => {
    await used()
    const [name = ''] = readdirSync(join(dir, 'log'))
    const log = join(dir, 'log', name)
    const bytes = readFileSync(log)
    truncateSync(log, bytes.length - 1)
    await expect(opened()).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    truncateSync(log, 0)
    await expect(opened()).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    unlinkSync(log)
    await expect(opened()).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    writeFileSync(log, bytes)
    await opened()
  })

  it('may be what a relay left that was killed before its first commit', async () => {
    mkdirSync(join(dir, 'log'), { recursive: true })
    writeFileSync(join(dir, MARKER), JSON.stringify({ store: 'objectrelay', format: 2, key: 1, end: null }))
    writeFileSync(join(dir, 'log', '000000000000001-00000000000a.log'), 'half a block')
    await opened()
  })

  it('is refused while another relay has it, and free when that one has closed it', async () => {
    const store = await opened()
    await expect(opened()).rejects.toMatchObject({
      code: 'STORE_IN_USE',
      message: expect.stringContaining(`process ${process.pid} on`),
      details: { dir },
    })
    await store.close()
    await opened()
  })

  it('is taken over from an owner that no socket shows, which is told so with its next commit', async () => {
    const first = await opened()
    unlinkSync(join(dir, 'relay.socket'))
    const second = await opened()
    const frame = frameOf(1, 100)
    first.journal.queued(first.keep(frame, 0, frame.length), 'group', 0, 1, 1)
    await expect(first.commit()).rejects.toMatchObject({ code: 'STORE_IN_USE' })
    second.journal.queued(second.keep(frame, 0, frame.length), 'group', 0, 1, 1)
    await second.commit()
    await expect(first.close()).rejects.toMatchObject({ code: 'STORE_IN_USE' })
  })

  it('ends the relay when it is removed while it runs', async () => {
    const store = await opened()
    rmSync(dir, { recursive: true })
    const frame = frameOf(1, 100)
    store.journal.queued(store.keep(frame, 0, frame.length), 'group', 0, 1, 1)
    await expect(store.commit()).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await store.close().catch(() => undefined)
  })
})
