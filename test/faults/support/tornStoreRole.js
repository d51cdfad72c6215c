import { createHash } from 'node:crypto'
import {
  closeSync,
  cpSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { lmdbStore } from 'objectrelay/lmdb'

// A process of its own, since a store that maps a damaged file may take the process with it. It is told which damages to do to
// copies of a store, and says after each what became of it.

const PAGE_BYTES = 4_096
const LAST_PAGE_AT = 144
const host = { report: () => undefined }

async function open(dir) {
  const { module, options } = lmdbStore({ dir, durability: 'written' })
  const { openStore } = await import(module)
  return await openStore(options, host)
}

/** Makes a store with some of everything in it, in several commits. */
async function makeStore(dir, objects = 300) {
  const store = await open(dir)
  const kept = []
  for (let id = 0; id < objects; id++) {
    const frame = Buffer.alloc(64 + ((id * 7_919) % (id % 10 === 0 ? 60_000 : 3_000)), (id % 250) + 1)
    frame.writeUInt32LE(frame.length, 0)
    frame[4] = 0x20
    const payload = store.keep(frame, 0, frame.length)
    store.journal.queued(payload, `group ${id % 3}`, 0, id + 1, 1)
    if (id % 4 === 0) store.journal.leased(payload, `group ${id % 3}`, 1, `session ${id % 5}`, id + 1)
    kept.push(payload)
    if (id % 20 === 0) {
      const heard = id % 40 === 0 ? { epoch: 1, frames: id } : undefined
      store.rememberSession(`session ${id % 5}`, [{ from: 1, to: id + 1, memberCounts: [id] }], heard)
    }
    if (id % 6 === 5) await store.commit()
    if (id % 4 === 0 && id >= 100) {
      const old = kept[id - 100]
      store.journal.acknowledged(old, `group ${(id - 100) % 3}`, 1, `session ${(id - 100) % 5}`, id - 99)
      store.release(old)
    }
  }
  await store.commit()
  const state = digestOf(store)
  await store.close()
  return state
}

/** All that a store tells, in one line. */
function digestOf(store) {
  const lines = []
  store.recover({
    place({ payload, ...place }) {
      const { buffer, start, end } = payload
      const content = createHash('sha256').update(buffer.subarray(start, end)).digest('hex')
      lines.push(JSON.stringify([place, content]))
    },
    remembered: (session, runs, heard) => lines.push(JSON.stringify([session, runs, heard])),
  })
  return `${lines.length} ${createHash('sha256').update(lines.sort().join('\n')).digest('hex')}`
}

/** The state of a store, or the code of the error that it was refused with. */
async function stateOf(dir) {
  let store
  try {
    store = await open(dir)
    return digestOf(store)
  } catch (error) {
    return error.code === undefined || error.details === undefined ? `untyped ${error.stack}` : error.code
  } finally {
    await store?.close()
  }
}

/** The data file, or one with segments. */
function fileIn(dir, [, , , file]) {
  const names = readdirSync(join(dir, 'segments')).map((name) => join('segments', name))
  return join(dir, ['data.mdb', ...names][Math.floor(file * (names.length + 1))])
}

/** How far the data file is in use, which its two meta pages say; behind it lies room for later. */
function usedBytes(file) {
  const meta = Buffer.alloc(2 * PAGE_BYTES)
  readSync(file, meta, 0, meta.length, 0)
  const lastPages = [0, PAGE_BYTES].map((at) => Number(meta.readBigUInt64LE(at + LAST_PAGE_AT)))
  return (Math.max(...lastPages) + 1) * PAGE_BYTES
}

/** Damages one file: `[kind, first, second, file]`, numbers from 0 up to 1 that say where. */
function damage(path, [kind, first, second]) {
  const file = openSync(path, 'r+')
  const size = path.endsWith('data.mdb') ? usedBytes(file) : fstatSync(file).size
  const pages = Math.floor(size / PAGE_BYTES)
  const pageAt = (part) => Math.floor(part * pages) * PAGE_BYTES
  const page = Buffer.alloc(PAGE_BYTES)
  const other = Buffer.alloc(PAGE_BYTES)
  const offset = Math.floor(first * size)
  if (kind === 'truncate') ftruncateSync(file, offset)
  if (kind === 'flip' || kind === 'flipEarly') {
    // Half of them where the trees begin.
    const at = kind === 'flip' ? offset : pageAt(Math.floor(first * 2) / pages) + Math.floor(((first * 2) % 1) * 170)
    readSync(file, page, 0, 1, at)
    page[0] ^= 1 << Math.floor(second * 8)
    writeSync(file, page, 0, 1, at)
  }
  if (kind === 'zero') writeSync(file, page, 0, PAGE_BYTES, pageAt(first))
  if (kind === 'swap') {
    readSync(file, page, 0, PAGE_BYTES, pageAt(first))
    readSync(file, other, 0, PAGE_BYTES, pageAt(second))
    writeSync(file, other, 0, PAGE_BYTES, pageAt(first))
    writeSync(file, page, 0, PAGE_BYTES, pageAt(second))
  }
  if (kind === 'flipHeader') {
    const at = pageAt(first) + Math.floor(second * 48)
    readSync(file, page, 0, 1, at)
    page[0] ^= 1 << (offset % 8)
    writeSync(file, page, 0, 1, at)
  }
  closeSync(file)
}

process.on('message', async ({ make, from, dir, damages }) => {
  if (make !== undefined) {
    await makeStore(make)
    process.send({ state: await stateOf(make) })
  }
  for (const what of damages ?? []) {
    rmSync(dir, { recursive: true, force: true })
    cpSync(from, dir, { recursive: true })
    damage(fileIn(dir, what), what)
    process.send({ state: await stateOf(dir) })
  }
  process.exit()
})
