import { fstat, read } from 'node:fs'
import { promisify } from 'node:util'

const statusOf = promisify(fstat)
const readInto = promisify(read)

const standardInput = 0
const chunkBytes = 1024 * 1024

/**
 * Standard input that is a plain file, as in `produce < tasks.ndjson`: it can be read twice, from where it stands, which need
 * not be its beginning: whoever had it before may have read some.
 */
export class FileInput {
  /** Bytes until the end, when the file was opened. */
  readonly bytes: number
  #from: number | undefined
  #length = 0

  private constructor(bytes: number) {
    this.bytes = bytes
  }

  /** `undefined` if standard input is something else. */
  static async open(): Promise<FileInput | undefined> {
    const status = await statusOf(standardInput)
    return status.isFile() ? new FileInput(status.size) : undefined
  }

  /** Reads to the end, as any reader would. */
  async *first(): AsyncGenerator<Buffer> {
    for (;;) {
      const chunk = await chunkAt(null, chunkBytes)
      this.#length += chunk.length
      if (chunk.length > 0) {
        yield chunk
        continue
      }
      const { size } = await statusOf(standardInput)
      // If there is still nothing more, it stood at that size; Node.js has no other way to ask where it stands.
      const more = await chunkAt(null, chunkBytes)
      this.#length += more.length
      this.#from = Math.max(0, size - this.#length)
      if (more.length === 0) return
      yield more
    }
  }

  /** Reads the same once more, and not what was written behind it since. */
  async *again(): AsyncGenerator<Buffer> {
    let at = this.#from ?? 0
    const end = at + this.#length
    while (at < end) {
      const chunk = await chunkAt(at, Math.min(chunkBytes, end - at))
      if (chunk.length === 0) return
      at += chunk.length
      yield chunk
    }
  }
}

async function chunkAt(position: number | null, bytesMax: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(bytesMax)
  const { bytesRead } = await readInto(standardInput, buffer, 0, bytesMax, position)
  return buffer.subarray(0, bytesRead)
}
