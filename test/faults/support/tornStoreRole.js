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
import { openStore } from '../../../dist/store/fileStore.js'

// A process of its own, so that one that hangs or dies is an outcome. It is told which damages to do to copies of a store, and says
// after each what became of it.

const PAGE_BYTES = 4_096
const MARKER = 'objectrelay-store.json'
/** A relay is stopped and started again so often: each begins a file of its own. */
const LIVES = 3
const host = { report: () => undefined }

async function open(dir) {
  return await openStore({ dir, durability: 'written' }, host)
}

/** Makes a store with some of everything in it, in several commits and files. */
async function makeStore(dir, objects = 300) {
  for (let life = 0; life < LIVES; life++) await live(dir, life * objects, objects / LIVES)
}

async function live(dir, first, objects) {
  const store = await open(dir)
  store.recover({ place: () => undefined, remembered: () => undefined })
  const kept = []
  for (let id = first; id < first + objects; id++) {
    const frame = Buffer.alloc(64 + ((id * 7_919) % (id % 10 === 0 ? 60_000 : 3_000)), (id % 250) + 1)
    frame.writeUInt32LE(frame.length, 0)
    frame[4] = 0x20
    const payload = store.keep(frame, 0, frame.length)
    const group = `group ${id % 3}`
    const session = `session ${id % 5}`
    store.journal.queued(payload, group, 0, id + 1, 1)
    if (id % 4 === 0) store.journal.leased(payload, group, 1, session, id + 1)
    kept.push({ payload, group, session, order: id + 1, isLeased: id % 4 === 0 })
    if (id % 20 === 0) {
      const heard = id % 40 === 0 ? { epoch: 1, frames: id } : undefined
      store.rememberSession(session, { runs: [{ from: 1, to: id + 1, memberCounts: [id] }], heard })
    }
    if (id % 6 === 5) await store.commit()
    const old = kept[kept.length - 50]
    if (old === undefined || !old.isLeased) continue
    store.journal.acknowledged(old.payload, old.group, 1, old.session, false, old.order)
    store.release(old.payload)
  }
  await store.commit()
  await store.close()
}

async function bytesOf(payload) {
  const found = payload.find()
  if (found !== undefined) return found.buffer.subarray(found.start, found.end)
  const { reading, start, end } = payload.load()
  return (await reading).subarray(start, end)
}

/** All that a store tells, in one line. */
async function digestOf(store) {
  const lines = []
  const places = []
  store.recover({
    place: (place) => places.push(place),
    remembered: (session, runs, heard) => lines.push(JSON.stringify([session, runs, heard])),
  })
  for (const { payload, ...place } of places) {
    const bytes = await bytesOf(payload)
    const content = createHash('sha256').update(bytes).digest('hex')
    lines.push(JSON.stringify([place, content]))
  }
  return `${lines.length} ${createHash('sha256').update(lines.sort().join('\n')).digest('hex')}`
}

/** The state of a store, or the code of the error that it was refused with. */
async function stateOf(dir) {
  let store
  try {
    store = await open(dir)
    return await digestOf(store)
  } catch (error) {
    return error.code === undefined || error.details === undefined ? `untyped ${error.stack}` : error.code
  } finally {
    await store?.close().catch(() => undefined)
  }
}

/** One of the files of the log, or what says where it was safe. */
function fileIn(dir, [, , , file]) {
  const names = [...readdirSync(join(dir, 'log')).map((name) => join('log', name)), MARKER]
  return join(dir, names[Math.floor(file * names.length)])
}

/** Damages one file: `[kind, first, second, file]`, numbers from 0 up to 1 that say where. */
function damage(path, [kind, first, second]) {
  const file = openSync(path, 'r+')
  const { size } = fstatSync(file)
  const pages = Math.max(1, Math.floor(size / PAGE_BYTES))
  const pageAt = (part) => Math.floor(part * pages) * PAGE_BYTES
  const page = Buffer.alloc(PAGE_BYTES)
  const other = Buffer.alloc(PAGE_BYTES)
  const offset = Math.floor(first * size)
  if (kind === 'truncate') ftruncateSync(file, offset)
  if (kind === 'flip' || kind === 'flipEarly') {
    // Half of them in the heads of the first blocks.
    const at = kind === 'flip' ? offset : Math.floor(first * Math.min(size, 400))
    readSync(file, page, 0, 1, at)
    page[0] ^= 1 << Math.floor(second * 8)
    writeSync(file, page, 0, 1, at)
  }
  if (kind === 'zero') writeSync(file, page, 0, Math.min(size, PAGE_BYTES), pageAt(first))
  if (kind === 'swap' && pages > 1) {
    readSync(file, page, 0, PAGE_BYTES, pageAt(first))
    readSync(file, other, 0, PAGE_BYTES, pageAt(second))
    writeSync(file, other, 0, PAGE_BYTES, pageAt(first))
    writeSync(file, page, 0, PAGE_BYTES, pageAt(second))
  }
  if (kind === 'flipHeader') {
    const at = Math.min(size - 1, pageAt(first) + Math.floor(second * 48))
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
