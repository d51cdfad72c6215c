import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { createError } from '../errors.ts'
import { errorCodeOf } from '../security/privateFiles.ts'
import { unreadableFile } from './boundedFile.ts'
import { fromJsonValue } from './fromJsonValue.ts'
import { splitLines } from './lines.ts'

/** One object to be sent. */
export interface InputItem {
  readonly object: unknown
  /** What it takes in memory, roughly. */
  readonly bytes: number
  /** Where it came from, for messages: `line 7`. */
  readonly where: string
  /** Whether its memory may be given away. */
  readonly transfer: boolean
}

/** What is read, and how its progress is told. */
export interface InputContext {
  /** Ends the reading. */
  readonly signal: AbortSignal
  /** Whether `$type` is a name like any other. */
  readonly plainJson: boolean
  readonly onBytes: (bytes: number) => void
}

/** A line of text, or the whole text of standard input as one value; V8 makes no much longer strings. */
export const jsonBytesMax: number = 256 * 1024 * 1024
const readBytes = 4 * 1024 * 1024

/** Objects from the arguments of the command, each a JSON value; all are read before there is the first. */
export function fromArguments(
  texts: readonly string[],
  context: Pick<InputContext, 'plainJson'>,
): readonly InputItem[] {
  return texts.map((text, index) => {
    const where = `argument ${index + 1}`
    return { object: parseJson(text, where, context), bytes: text.length, where, transfer: false }
  })
}

/** Objects from newline-delimited JSON: one value in each line that is not blank. */
export async function* fromLines(input: AsyncIterable<Buffer>, context: InputContext): AsyncGenerator<InputItem> {
  for await (const { line, number } of splitLines(counted(input, context), jsonBytesMax)) {
    const where = `line ${number}`
    const text = decodeText(line, where)
    if (text.trim() === '') continue
    yield { object: parseJson(text, where, context), bytes: line.length, where, transfer: false }
  }
}

/** One object from the whole of the input, a single JSON value. */
export async function* fromJsonText(input: Readable, context: InputContext): AsyncGenerator<InputItem> {
  const bytes = await readAll(input, jsonBytesMax, context)
  const where = 'standard input'
  yield { object: parseJson(decodeText(bytes, where), where, context), bytes: bytes.length, where, transfer: false }
}

/** One object from the whole of the input: `{ name, data }` with its bytes. */
export async function* fromRaw(input: Readable, name: string, context: InputContext): AsyncGenerator<InputItem> {
  const bytes = await readAll(input, Number.MAX_SAFE_INTEGER, context)
  const data = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  yield { object: { name, data }, bytes: data.length, where: 'standard input', transfer: true }
}

/** An object from each file: `{ name, data }` with its bytes; `name` is without folders. */
export async function* fromFiles(paths: readonly string[], context: InputContext): AsyncGenerator<InputItem> {
  for (const path of paths) {
    context.signal.throwIfAborted()
    const data = await readFile(path, context)
    yield { object: { name: basename(path), data }, bytes: data.length, where: path, transfer: true }
  }
}

/** The bytes of all files together, for a progress bar; what cannot be opened is found out before anything is sent. */
export async function totalBytes(paths: readonly string[]): Promise<number> {
  let total = 0
  for (const path of paths) {
    const handle = await openFile(path)
    try {
      const status = await handle.stat()
      if (!status.isFile()) throw unreadableFile(path, 'file', new Error('it is not a plain file'))
      total += status.size
    } finally {
      await handle.close()
    }
  }
  return total
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    throw unreadableFile(path, 'file', cause)
  }
}

async function readFile(path: string, { signal, onBytes }: InputContext): Promise<Uint8Array> {
  const handle = await openFile(path)
  try {
    const status = await handle.stat()
    if (!status.isFile()) throw unreadableFile(path, 'file', new Error('it is not a plain file'))
    const data = new Uint8Array(status.size)
    for (let offset = 0; offset < data.length; ) {
      signal.throwIfAborted()
      const { bytesRead } = await handle.read(data, offset, Math.min(readBytes, data.length - offset), offset)
      if (bytesRead === 0) throw unreadableFile(path, 'file', new Error('it became shorter while it was read'))
      offset += bytesRead
      onBytes(bytesRead)
    }
    return data
  } catch (thrown) {
    if (signal.aborted || errorCodeOf(thrown) === 'FILE_UNREADABLE') throw thrown
    throw unreadableFile(path, 'file', thrown)
  } finally {
    await handle.close()
  }
}

async function readAll(input: Readable, bytesMax: number, context: InputContext): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of counted(untilAborted(input, context), context)) {
    bytes += chunk.length
    if (bytes > bytesMax) throw invalid('Standard input', `has more than ${bytesMax} bytes; use --input ndjson or raw`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}

/** The chunks of a stream; ends, by the signal's reason, also while nothing comes. */
export async function* untilAborted(input: Readable, { signal }: Pick<InputContext, 'signal'>): AsyncGenerator<Buffer> {
  const abort = (): void => void input.destroy()
  signal.throwIfAborted()
  signal.addEventListener('abort', abort, { once: true })
  try {
    for await (const chunk of input) {
      yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk)
    }
  } catch (thrown) {
    // A destroyed stream complains about its own end, which is not the reason.
    signal.throwIfAborted()
    throw unreadableFile('-', 'standard input', thrown)
  } finally {
    signal.removeEventListener('abort', abort)
  }
  signal.throwIfAborted()
}

/** What can be read to its end at any time, and needs no more than a look at the signal. */
async function* counted(input: AsyncIterable<Buffer>, { signal, onBytes }: InputContext): AsyncGenerator<Buffer> {
  for await (const chunk of input) {
    signal.throwIfAborted()
    onBytes(chunk.length)
    yield chunk
  }
}

function decodeText(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw invalid(where, 'is not UTF-8; --input raw sends bytes as they are')
  }
}

function parseJson(text: string, where: string, { plainJson }: Pick<InputContext, 'plainJson'>): unknown {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw invalid(where, `is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
  }
  if (plainJson) return json
  try {
    return fromJsonValue(json)
  } catch (cause) {
    throw invalid(where, `is refused: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
  }
}

function invalid(where: string, fault: string, cause?: unknown): Error {
  return createError('INVALID_ARGUMENT', `${where[0]?.toUpperCase()}${where.slice(1)} ${fault}`, {
    cause,
    details: { argument: 'input', where },
  })
}
