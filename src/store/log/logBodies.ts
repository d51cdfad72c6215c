import { createError } from '../../errors.ts'
import type { BodyFiles } from '../spool/bodyFiles.ts'
import type { Spool } from '../spool/spool.ts'
import type { SpooledBody } from '../spool/spooledBody.ts'
import type { LargeBody, StoreHost } from '../store.ts'
import type { BlockWriter } from './blockWriter.ts'
import type { FrameTable } from './frameTable.ts'
import type { BodyReference } from './indexPage.ts'
import type { ObjectIndex } from './objectIndex.ts'
import type { FrameLocation } from './recordWriter.ts'
import { storeCorrupt } from './storeCorrupt.ts'

/** A large object in the log: where its STREAM_BEGIN lies, once the log has been told of it. */
export interface LogBody {
  readonly body: SpooledBody
  /** Of its file. */
  readonly number: number
  segment: number
  offset: number
}

const UNTOLD = -1

/** The name of the file with the body of that number. */
export function bodyFileName(number: number): string {
  return `${number}.body`
}

/**
 * The large objects of a log. The log is told of one when the broker first speaks of it, which is when it is whole and its
 * file is safe; the file is removed only when it is safe that the log needs it no more.
 */
export class LogBodies {
  readonly #spool: Spool
  readonly #frames: FrameTable
  readonly #writer: BlockWriter
  readonly #bodies = new Map<LargeBody, LogBody>()
  /** Those that are removed with the next commit. */
  #released: SpooledBody[] = []
  /** Those that are removed when the commit under way is safe, and those that are removed when nobody holds them. */
  readonly #removable: SpooledBody[] = []
  readonly #unneeded: SpooledBody[] = []
  #holders = 0
  nextNumber: number

  constructor(spool: Spool, frames: FrameTable, writer: BlockWriter, nextNumber: number) {
    this.#spool = spool
    this.#frames = frames
    this.#writer = writer
    this.nextNumber = nextNumber
  }

  begin(begin: Buffer, bodyBytes: number): LargeBody {
    const number = this.nextNumber++
    const body = this.#spool.keep(begin, bodyBytes, bodyFileName(number))
    this.#bodies.set(body, { body, number, segment: UNTOLD, offset: 0 })
    return body
  }

  /** One of an earlier run, whose STREAM_BEGIN is `begin` and lies there. */
  restore(begin: Buffer, { segment, offset }: FrameLocation, { number, bytes }: BodyReference): LargeBody {
    const body = this.#spool.restore(begin, bytes, bodyFileName(number))
    this.#bodies.set(body, { body, number, segment, offset })
    return body
  }

  /** Where its STREAM_BEGIN lies; it is written now if it was not before. */
  locate(body: LargeBody): FrameLocation {
    const place = this.#bodies.get(body)
    if (place === undefined) throw new Error('The store was told of a large object that is not in it.')
    if (place.segment === UNTOLD) this.#write(place)
    return place
  }

  /** Writes its STREAM_BEGIN, and where its body is, at the end of the log. */
  #write(place: LogBody): void {
    const writer = this.#writer
    const { begin, bytes } = place.body
    place.offset = writer.addFrame(begin, 0, begin.length)
    place.segment = writer.number
    this.#frames.addLarge(place, begin.length)
    const { page, index } = this.#frames.subjectOf(place)
    page.setBody(index, { number: place.number, bytes })
    writer.reserveRecord()
    writer.records.body(place, place.number, bytes)
  }

  release(body: LargeBody): void {
    const place = this.#bodies.get(body)
    if (place === undefined) return
    this.#bodies.delete(body)
    if (place.segment === UNTOLD) {
      place.body.release()
      return
    }
    this.#frames.release(place, 1)
    this.#released.push(place.body)
  }

  /** The store ends: nobody will ever need what the log was not told of. */
  close(): void {
    for (const { body, segment } of this.#bodies.values()) if (segment === UNTOLD) body.release()
  }

  /** Removes the files of what was released until now; to be called when the log that does not need them is safe. */
  takeReleased(): () => void {
    const released = this.#released
    this.#released = []
    this.#removable.push(...released)
    return () => {
      this.#unneeded.push(...this.#removable.splice(0, released.length))
      this.#removeUnneeded()
    }
  }

  /** Keeps all files that a log needs that is as of now, until they are released again. */
  hold(): { readonly names: readonly string[]; release(): void } {
    const told = [...this.#bodies.values()].filter(({ segment }) => segment !== UNTOLD)
    const names = [
      ...told.map(({ body }) => body.name),
      ...[...this.#released, ...this.#removable].map(({ name }) => name),
    ]
    this.#holders++
    let isHeld = true
    return {
      names,
      release: () => {
        if (!isHeld) return
        isHeld = false
        this.#holders--
        this.#removeUnneeded()
      },
    }
  }

  #removeUnneeded(): void {
    if (this.#holders > 0) return
    for (const body of this.#unneeded.splice(0)) body.release()
  }
}

/** What is to be done about the files of bodies before a log is used. */
export interface FilesFound {
  /** A number that no file has had. */
  readonly nextNumber: number
  /** What an earlier run left behind: nothing speaks of them. */
  readonly unknown: readonly string[]
}

/** Compares the files that are there with those that a recovered log needs; it changes nothing. Throws `STORE_CORRUPT`. */
export async function checkBodyFiles(files: BodyFiles, index: ObjectIndex): Promise<FilesFound> {
  const found = new Map(await files.list())
  let nextNumber = 1
  for (const name of found.keys()) nextNumber = Math.max(nextNumber, numberOf(name) + 1)
  for (const { number, bytes } of index.bodies()) {
    const name = bodyFileName(number)
    const size = found.get(name)
    const where = `The file ${name} with the body of a large object`
    if (size === undefined) throw storeCorrupt(where, 'is missing, or belongs to two objects')
    if (size !== bytes) throw storeCorrupt(where, `has ${size} bytes instead of ${bytes}`)
    found.delete(name)
  }
  return { nextNumber, unknown: [...found.keys()].filter((name) => numberOf(name) > 0) }
}

/** Removes files; they have names that are not used again, so nothing has to wait for it. */
export function removeBodyFiles(files: BodyFiles, names: readonly string[], host: StoreHost): void {
  for (const name of names) {
    files.remove(name).catch((cause: unknown) => {
      const message = `The file ${name} of the store, which nothing needs, cannot be removed. Look at the permissions of its folder.`
      host.report(createError('STORE_FAILED', message, { cause }))
    })
  }
}

/** The number in the name of a file; 0 if it is none of ours. */
function numberOf(name: string): number {
  const digits = /^([1-9]\d{0,14})\.body$/.exec(name)?.[1]
  return digits === undefined ? 0 : Number(digits)
}
