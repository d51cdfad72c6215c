import type { Socket } from 'node:net'
import { join, resolve } from 'node:path'
import type { DeadLetter } from '../../deadLetter.ts'
import { isRecord } from '../../options.ts'
import { readDeadLetter } from '../../wire/failures.ts'
import { relayNameIn } from '../log/logIdentity.ts'
import { readLog } from '../log/readLog.ts'
import { BodyFolder } from '../spool/bodyFolder.ts'
import { type StoredCopy, type StoredGroup, StoreView } from '../storeView.ts'
import { folderError } from './folderErrors.ts'
import { FolderLock } from './folderLock.ts'
import { askRelay, type LocalMessage } from './localService.ts'
import { LogFiles } from './logFiles.ts'
import { recoverFiles } from './recoverFiles.ts'
import { folderNames, recogniseFolder } from './storeFolder.ts'

/** What a store keeps of all groups. */
export interface StoredGroups {
  /** The name of the relay that the store belongs to; `undefined` if none has kept anything yet. */
  readonly relay: string | undefined
  readonly groups: ReadonlyMap<string, StoredGroup>
}

/** Tells what is in a store: it asks the relay that runs with it, or reads its files if none does. Nothing is changed. */
export interface StoreReader {
  /** Whether a relay runs with it. */
  readonly isInUse: boolean
  groups(): Promise<StoredGroups>
  /** Each body is to be read before the next object. */
  copies(group: string): AsyncIterable<StoredCopy>
}

/** Rejects with `STORE_FOREIGN`, `STORE_VERSION`, `STORE_CORRUPT` or `STORE_FAILED`. */
export async function openStoreReader(dir: string): Promise<StoreReader> {
  const folder = resolve(dir)
  await recogniseFolder(folder)
  const socket = await FolderLock.visit(folder, folderNames.lock)
  socket?.destroy()
  return socket === undefined ? new FilesReader(folder) : new RelayReader(folder)
}

/** Connects to the relay that has the store; `undefined` if none has. */
export function visitRelay(folder: string): Promise<Socket | undefined> {
  return FolderLock.visit(folder, folderNames.lock)
}

class RelayReader implements StoreReader {
  readonly isInUse = true
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async groups(): Promise<StoredGroups> {
    let relay: string | undefined
    const groups = new Map<string, StoredGroup>()
    for await (const message of this.#ask({ what: 'groups' })) {
      if (!('json' in message)) continue
      const { json } = message
      if (typeof json.relay === 'string') relay = json.relay
      else if (typeof json.name === 'string') groups.set(json.name, readGroup(json))
    }
    return { relay, groups }
  }

  async *copies(group: string): AsyncGenerator<StoredCopy> {
    const messages = this.#ask({ what: 'copies', group })[Symbol.asyncIterator]()
    for (;;) {
      const { done, value } = await messages.next()
      if (done === true) return
      if (!('json' in value) || value.json.ended === true) continue
      let hasEnded = false
      const body = async function* (): AsyncGenerator<Buffer> {
        for (;;) {
          const next = hasEnded ? undefined : await messages.next()
          if (next === undefined || next.done === true || !('bytes' in next.value)) break
          yield next.value.bytes
        }
        hasEnded = true
      }
      yield readCopy(value.json, group, body)
      // What was not read of it is passed over.
      for await (const _ of body());
    }
  }

  async *#ask(request: Parameters<typeof askRelay>[1]): AsyncGenerator<LocalMessage> {
    const socket = await visitRelay(this.#folder)
    if (socket === undefined) return
    yield* askRelay(socket, request)
  }
}

class FilesReader implements StoreReader {
  readonly isInUse = false
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async groups(): Promise<StoredGroups> {
    const { view, relay, close } = await this.#open()
    try {
      return { relay, groups: await view.groups() }
    } finally {
      await close()
    }
  }

  async *copies(group: string): AsyncGenerator<StoredCopy> {
    const { view, close } = await this.#open()
    try {
      yield* view.copies(group)
    } finally {
      await close()
    }
  }

  async #open(): Promise<{ view: StoreView; relay: string | undefined; close: () => Promise<void> }> {
    const folder = this.#folder
    try {
      const { key, end: known } = await recogniseFolder(folder)
      const reading = { isSynced: false, isReadOnly: true }
      const files = new BodyFolder(join(folder, folderNames.log), reading)
      const logFiles = new LogFiles(files)
      const sizes = new Map<number, number>()
      const { index, values } = await readLog({
        recover: async (take) => {
          const found = await recoverFiles(files, key, known, (block) => {
            sizes.set(block.segment, block.offset + block.bytes.length)
            take(block)
          })
          for (const { name, starts, bytes } of found.files) logFiles.add(name, starts, bytes)
          return found.end
        },
      })
      const read = async (segment: number): Promise<Buffer> => {
        const bytes = Buffer.allocUnsafeSlow(sizes.get(segment) ?? 0)
        await logFiles.read(segment, bytes)
        return bytes
      }
      const bodies = new BodyFolder(join(folder, folderNames.bodies), reading)
      return {
        view: new StoreView({ index, bodies, read: lastOne(read) }),
        relay: relayNameIn(values),
        close: () => files.close(),
      }
    } catch (thrown) {
      throw folderError(folder, 'read', thrown)
    }
  }
}

/** Most frames lie in the same segment as the one before. */
function lastOne(read: (segment: number) => Promise<Buffer>): (segment: number) => Promise<Buffer> {
  let last: { readonly segment: number; readonly bytes: Promise<Buffer> } | undefined
  return (segment) => {
    if (last?.segment !== segment) last = { segment, bytes: read(segment) }
    return last.bytes
  }
}

function readGroup(json: Readonly<Record<string, unknown>>): StoredGroup {
  const { waiting, leased, bytes, oldest, isDead, retained } = json
  return {
    waiting: Number(waiting),
    leased: Number(leased),
    bytes: Number(bytes),
    oldest: typeof oldest === 'number' ? new Date(oldest) : undefined,
    isDead: isDead === true,
    retained: isRecord(retained)
      ? { bytes: Number(retained.bytes), sentAt: new Date(Number(retained.sentAt)) }
      : undefined,
  }
}

function readCopy(
  json: Readonly<Record<string, unknown>>,
  group: string,
  body: () => AsyncIterable<Buffer>,
): StoredCopy {
  const deadLetter: DeadLetter | undefined = isRecord(json.deadLetter) ? readDeadLetter(json.deadLetter) : undefined
  return {
    kind: json.kind === 'broadcast' ? 'broadcast' : 'produce',
    group,
    attempt: Number(json.attempt),
    copies: Number(json.copies),
    isLeased: json.isLeased === true,
    sentAt: new Date(Number(json.sentAt)),
    deadLetter,
    bodyBytes: Number(json.bodyBytes),
    body,
  }
}
