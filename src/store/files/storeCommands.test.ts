import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FrameType } from '../../wire/frameTypes.ts'
import { writeUint32 } from '../../wire/integers.ts'
import { encodeRoute, encodeStreamBegin, writeObjectHead } from '../../wire/objectHeader.ts'
import { fileStore, openStore } from '../fileStore.ts'
import type { KeptFrame, LargeBody, Store } from '../store.ts'
import { backupStore, exportGroup, inspectStore, purgeGroup } from './storeCommands.ts'

const sentAtMs = 1_700_000_000_000
let dir: string
let store: Store | undefined

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'store-commands-'))
})
afterEach(async () => {
  await store?.close()
  store = undefined
  rmSync(dir, { recursive: true, force: true })
})

async function opened(): Promise<Store> {
  store = await openStore(fileStore({ dir }).options, { report: () => undefined })
  return store
}

function keep(into: Store, groups: readonly string[], number: number): KeptFrame {
  const frame = Buffer.alloc(1_000)
  const route = encodeRoute({ kind: 'produce', groups, copies: groups.map(() => 1) })
  const bodyAt = writeObjectHead(frame, 0, FrameType.OBJECT, route, number, sentAtMs + number)
  const end = bodyAt + frame.write(`object ${number}`, bodyAt)
  writeUint32(frame, 0, end)
  return into.keep(frame, 0, end)
}

async function keepLarge(into: Store, group: string, bytes: number): Promise<LargeBody> {
  const route = encodeRoute({ kind: 'produce', groups: [group], copies: [1] })
  const body = into.keepLarge(encodeStreamBegin(route, 9, sentAtMs, 1, bytes), bytes)
  for (let at = 0; at < bytes; at += 65_536)
    body.writeAt(at, Buffer.alloc(Math.min(65_536, bytes - at), at / 65_536 + 1))
  await body.finish()
  return body
}

/** Three in `tasks`, one of them leased and one in `other` too; a dead letter; a last broadcast; a large one in `large`. */
async function filled(): Promise<Store> {
  const into = await opened()
  const { journal } = into
  const [first, second, third] = [keep(into, ['tasks'], 1), keep(into, ['tasks', 'other'], 2), keep(into, ['tasks'], 3)]
  journal.queued(first, 'tasks', 0, 1, 1)
  journal.queued(second, 'tasks', 0, 2, 1)
  journal.queued(second, 'other', 1, 3, 1)
  journal.queued(third, 'tasks', 0, 4, 5)
  journal.leased(first, 'tasks', 1, 'session', 1)
  const dead = keep(into, ['tasks'], 4)
  journal.queued(dead, 'tasks', 0, 5, 1)
  journal.leased(dead, 'tasks', 1, 'session', 5)
  journal.deadLettered(dead, 'tasks', 1, 'session', false, 'tasks.dead', 6, 5)
  journal.retained(keep(into, ['tasks'], 5), 'tasks', 0, 7)
  journal.queued(await keepLarge(into, 'large', 3_000_000), 'large', 0, 8, 1)
  await into.commit()
  return into
}

async function exported(group: string): Promise<readonly string[]> {
  const texts: string[] = []
  for await (const { kind, attempt, copies, isLeased, body } of exportGroup(dir, group)) {
    const pieces: Uint8Array[] = []
    for await (const piece of body()) pieces.push(piece)
    texts.push(`${kind} ${attempt} ${copies} ${isLeased} ${Buffer.concat(pieces)}`)
  }
  return texts
}

describe.each([true, false])('a store, with a relay that runs: %s', (isInUse) => {
  beforeEach(async () => {
    const into = await filled()
    if (!isInUse) await into.close()
  })

  it('tells what is in it', async () => {
    const { relay, groups, files, ...rest } = await inspectStore(dir)
    expect(rest).toEqual({ isInUse })
    expect(relay).toMatch(/^[\w-]{22}$/)
    expect(Object.keys(groups)).toEqual(['large', 'other', 'tasks', 'tasks.dead'])
    expect(groups.tasks).toMatchObject({ waiting: 6, leased: 1, isDead: false, oldest: new Date(sentAtMs + 1) })
    expect(groups.tasks?.retained).toMatchObject({ sentAt: new Date(sentAtMs + 5) })
    expect(groups['tasks.dead']).toMatchObject({ waiting: 1, isDead: true, oldest: new Date(sentAtMs + 4) })
    expect(groups.large).toMatchObject({ waiting: 1, bytes: 3_000_000, retained: undefined })
    expect(files).toMatchObject({ bodyBytes: 3_000_000, bodies: 1 })
    expect(files.logBytes).toBeGreaterThan(500)
  })

  it('gives what one group has, in the order of its queue', async () => {
    expect(await exported('tasks')).toEqual([
      'broadcast 1 1 false object 5',
      'produce 1 1 true object 1',
      'produce 1 1 false object 2',
      'produce 1 5 false object 3',
    ])
    expect(await exported('nobody')).toEqual([])
    for await (const { bodyBytes, body } of exportGroup(dir, 'large')) {
      let bytes = 0
      for await (const piece of body()) bytes += piece.length
      expect([bodyBytes, bytes]).toEqual([3_000_000, 3_000_000])
    }
  })
})

describe.each([true, false])('backupStore, with a relay that runs: %s', (isInUse) => {
  it('makes a store of its own that has everything, and overwrites nothing', async () => {
    const into = await filled()
    if (!isInUse) await into.close()
    const copy = join(dir, 'copies', 'one')
    const before = (await inspectStore(dir)).groups
    await backupStore(dir, copy)
    await into.close()
    expect((await inspectStore(copy)).groups).toEqual(before)
    await purgeGroup(dir, 'tasks')
    const { options } = fileStore({ dir: copy })
    store = await openStore(options, { report: () => undefined })
    let places = 0
    store.recover({ groupSet: () => undefined, place: () => places++, remembered: () => undefined })
    expect(places).toBe(7)
    await expect(backupStore(dir, copy)).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
  })
})

describe('purgeGroup', () => {
  it('is refused while a relay runs', async () => {
    await filled()
    await expect(purgeGroup(dir, 'tasks')).rejects.toMatchObject({ code: 'STORE_IN_USE' })
    expect(await exported('tasks')).toHaveLength(4)
  })

  it('deletes the queue and the retained broadcast of one group, and nothing else', async () => {
    await (await filled()).close()
    expect(await purgeGroup(dir, 'tasks')).toMatchObject({ copies: 8 })
    expect(await exported('tasks')).toEqual([])
    expect(await exported('other')).toEqual(['produce 1 1 false object 2'])
    expect(await exported('tasks.dead')).toHaveLength(1)
    expect(await purgeGroup(dir, 'large')).toEqual({ copies: 1, bytes: 3_000_000 })
    expect(await exported('large')).toEqual([])
    expect((await inspectStore(dir)).files).toMatchObject({ bodies: 0 })
    expect(await purgeGroup(dir, 'tasks')).toEqual({ copies: 0, bytes: 0 })
    expect((await inspectStore(dir)).groups.other).toMatchObject({ waiting: 1 })
  })

  it('is refused for a folder without a store, which stays as it is', async () => {
    const empty = join(dir, 'empty')
    await expect(purgeGroup(empty, 'tasks')).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    await expect(inspectStore(empty)).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
  })
})
