import type { Socket } from 'node:net'
import { createError, type ObjectRelayError, toObjectRelayError, toPlainError } from '../../errors.ts'
import { isRecord } from '../../options.ts'
import { readUint32, writeUint32 } from '../../wire/integers.ts'

/**
 * What a relay that has a store answers to programs on its machine that want to look into it, over the socket in the store's folder:
 * whoever may enter the folder may ask. A request is one line of JSON. The answer is a sequence of messages, each with a head of
 * five bytes: its type (u8), and the length of what follows (u32).
 */
const MessageType = { JSON: 1, BYTES: 2, END: 3, ERROR: 4 } as const

const HEAD_BYTES = 5
const REQUEST_BYTES_MAX = 4_096
const JSON_BYTES_MAX = 16 * 1024 * 1024
/** Who asks must do so within this time, and then take what it is answered. */
const SILENT_MS_MAX = 30_000
const VISITORS_MAX = 8

/** One question: `what`, and what it is about. */
export interface LocalRequest {
  readonly what: string
  readonly group?: string
}

/** One message of an answer. */
export type LocalMessage = { readonly json: Readonly<Record<string, unknown>> } | { readonly bytes: Buffer }

/** Answers the questions of visitors, a few at a time, each at the visitor's pace. */
export class LocalService {
  readonly #answer: (request: LocalRequest) => AsyncIterable<LocalMessage>
  readonly #visitors = new Set<Socket>()

  constructor(answer: (request: LocalRequest) => AsyncIterable<LocalMessage>) {
    this.#answer = answer
  }

  visited(socket: Socket): void {
    socket.on('error', () => socket.destroy())
    if (this.#visitors.size >= VISITORS_MAX) {
      socket.destroy()
      return
    }
    this.#visitors.add(socket)
    socket.once('close', () => this.#visitors.delete(socket))
    socket.setTimeout(SILENT_MS_MAX, () => socket.destroy())
    socket.unref()
    let text = ''
    const heard = (part: Buffer): void => {
      text += part.toString('utf8')
      const end = text.indexOf('\n')
      if (end < 0 && text.length <= REQUEST_BYTES_MAX) return
      socket.off('data', heard)
      socket.on('data', () => undefined)
      void this.#serve(socket, text.slice(0, Math.max(0, end)))
    }
    socket.on('data', heard)
  }

  /** Hangs up on all. */
  close(): void {
    for (const socket of this.#visitors) socket.destroy()
  }

  async #serve(socket: Socket, line: string): Promise<void> {
    try {
      for await (const message of this.#answer(parseRequest(line))) {
        if ('json' in message) await send(socket, MessageType.JSON, Buffer.from(JSON.stringify(message.json)))
        else await send(socket, MessageType.BYTES, message.bytes)
      }
      await send(socket, MessageType.END, Buffer.alloc(0))
    } catch (thrown) {
      const error = toObjectRelayError(thrown, 'STORE_FAILED')
      await send(socket, MessageType.ERROR, Buffer.from(JSON.stringify(toPlainError(error)))).catch(() => undefined)
    }
    socket.end()
  }
}

function parseRequest(line: string): LocalRequest {
  const told: unknown = JSON.parse(line)
  if (!isRecord(told) || typeof told.what !== 'string') throw createError('INVALID_ARGUMENT', 'That is not a question.')
  return { what: told.what, ...(typeof told.group === 'string' ? { group: told.group } : {}) }
}

function send(socket: Socket, type: number, content: Buffer): Promise<void> {
  const head = Buffer.alloc(HEAD_BYTES)
  head[0] = type
  writeUint32(head, 1, content.length)
  return new Promise((resolve, reject) => {
    if (socket.destroyed) reject(createError('LINK_LOST', 'Who asked is gone.'))
    else {
      socket.write(head)
      socket.write(content, (error) => (error === undefined || error === null ? resolve() : reject(error)))
    }
  })
}

/** Asks the relay that has a store. Rejects with what it answers, and with `STORE_FAILED` if it ends meanwhile. */
export async function* askRelay(socket: Socket, request: LocalRequest): AsyncGenerator<LocalMessage> {
  socket.write(`${JSON.stringify(request)}\n`)
  let gathered: Buffer = Buffer.alloc(0)
  try {
    for await (const part of socket as AsyncIterable<Buffer>) {
      gathered = gathered.length === 0 ? part : Buffer.concat([gathered, part])
      for (;;) {
        const length = gathered.length < HEAD_BYTES ? undefined : readUint32(gathered, 1)
        if (length !== undefined && length > JSON_BYTES_MAX) throw unexpected()
        if (length === undefined || gathered.length < HEAD_BYTES + length) break
        const type = gathered[0]
        const content = gathered.subarray(HEAD_BYTES, HEAD_BYTES + length)
        gathered = gathered.subarray(HEAD_BYTES + length)
        if (type === MessageType.END) return
        if (type === MessageType.BYTES) yield { bytes: content }
        else yield readJson(type, content)
      }
    }
  } finally {
    socket.destroy()
  }
  throw createError('STORE_FAILED', 'The relay that has the store ended before it had answered. Ask again.')
}

function readJson(type: number | undefined, content: Buffer): LocalMessage {
  const json: unknown = JSON.parse(content.toString('utf8'))
  if (!isRecord(json)) throw unexpected()
  if (type === MessageType.JSON) return { json }
  const { message } = json
  throw createError('STORE_FAILED', `The relay that has the store says: ${String(message)}`)
}

function unexpected(): ObjectRelayError {
  return createError('STORE_FAILED', 'The relay that has the store is of another version. Use the one that it uses.')
}
