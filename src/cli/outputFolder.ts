import { randomBytes } from 'node:crypto'
import { link, mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createError } from '../errors.ts'
import { isRecord } from '../options.ts'
import { errorCodeOf } from '../security/privateFiles.ts'
import { unwritableFile } from './boundedFile.ts'
import { numberedFileName, safeFileName } from './fileNames.ts'
import { toJsonValue } from './toJsonValue.ts'

const numberMax = 100_000

/** A file object: what `produce --file` sends, or any object of that shape. */
export interface FileObject {
  readonly name: string | undefined
  readonly data: Uint8Array
}

/** The bytes of an object that is, or holds, a file; `undefined` for any other. */
export function asFileObject(object: unknown): FileObject | undefined {
  if (object instanceof Uint8Array) return { name: undefined, data: object }
  if (!isRecord(object) || !(object.data instanceof Uint8Array)) return undefined
  return typeof object.name === 'string' ? { name: object.name, data: object.data } : undefined
}

/** A folder that received objects are written to, each whole or not at all. */
export class OutputFolder {
  readonly #path: string
  readonly #overwrite: boolean
  /** The number after the last one that a name got, so that a thousand equal names are not tried a thousand times. */
  readonly #numbers = new Map<string, number>()
  #count = 0

  private constructor(path: string, overwrite: boolean) {
    this.#path = path
    this.#overwrite = overwrite
  }

  static async open(path: string, { overwrite }: { readonly overwrite: boolean }): Promise<OutputFolder> {
    try {
      await mkdir(path, { recursive: true })
    } catch (cause) {
      throw unwritableFile(path, 'folder', cause)
    }
    return new OutputFolder(path, overwrite)
  }

  /** Writes a file object under its own name, any other object as `object-1.json`; resolves to the path when it is on disk. */
  async write(object: unknown): Promise<string> {
    this.#count += 1
    const file = asFileObject(object)
    if (file !== undefined)
      return await this.#writeNew(safeFileName(file.name ?? `object-${this.#count}.bin`), file.data)
    const text = `${JSON.stringify(toJsonValue(object), null, 2)}\n`
    return await this.#writeNew(`object-${this.#count}.json`, Buffer.from(text))
  }

  async #writeNew(name: string, data: Uint8Array): Promise<string> {
    const temporary = join(this.#path, `.${randomBytes(8).toString('hex')}.part`)
    try {
      await writeWhole(temporary, data)
      if (!this.#overwrite) return await this.#publish(temporary, name)
      const path = join(this.#path, name)
      await rename(temporary, path)
      return path
    } catch (thrown) {
      throw errorCodeOf(thrown) === 'FILE_UNWRITABLE' ? thrown : unwritableFile(join(this.#path, name), 'file', thrown)
    } finally {
      await rm(temporary, { force: true })
    }
  }

  /** A link fails when the name is taken, also between processes; then the next number is tried. */
  async #publish(temporary: string, name: string): Promise<string> {
    // What is counted per name is bounded: a sender may give any number of names.
    if (this.#numbers.size > numberMax) this.#numbers.clear()
    for (let number = this.#numbers.get(name) ?? 1; number <= numberMax; number++) {
      const path = join(this.#path, number === 1 ? name : numberedFileName(name, number))
      try {
        await link(temporary, path)
        this.#numbers.set(name, number + 1)
        return path
      } catch (thrown) {
        if (errorCodeOf(thrown) !== 'EEXIST') throw thrown
      }
    }
    throw createError('FILE_UNWRITABLE', `The folder ${this.#path} has too many files called ${name}.`, {
      details: { path: this.#path },
    })
  }
}

async function writeWhole(path: string, data: Uint8Array): Promise<void> {
  const handle = await open(path, 'wx')
  try {
    await handle.writeFile(data)
    // The object is acknowledged after this, and then nobody else has it.
    await handle.sync()
  } finally {
    await handle.close()
  }
}
