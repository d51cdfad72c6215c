import { encodeRoute, encodeStreamBegin } from '../wire/objectHeader.ts'
import type { LargeBody } from './store.ts'

const PART_BYTES = 50_000

/** The STREAM_BEGIN of a large object. */
export function beginOf(sequence: number, bodyBytes: number): Buffer {
  const route = encodeRoute({ kind: 'produce', groups: ['g'], copies: [2] })
  return encodeStreamBegin(route, sequence, 1_700_000_000_000, 1, bodyBytes)
}

/** A body of which each byte depends on where it is. */
export function bodyOf(seed: number, bytes: number): Buffer {
  const body = Buffer.allocUnsafe(bytes)
  let state = seed
  for (let at = 0; at < bytes; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    body[at] = state >>> 16
  }
  return body
}

/** Writes what is there of a body, as fast as there is room for it. */
export async function writeBody(large: LargeBody, body: Buffer): Promise<void> {
  for (let at = 0; at < body.length; ) {
    const end = Math.min(at + PART_BYTES, body.length, large.roomEnd)
    if (end === at) {
      await new Promise<void>((resolve, reject) => {
        large.onRoom = (error) => (error === undefined ? resolve() : reject(error))
      })
      continue
    }
    large.writeAt(at, Buffer.from(body.subarray(at, end)))
    at = end
  }
}

/** Reads a body to its end, as it comes. */
export async function readBody(large: LargeBody): Promise<Buffer> {
  const pieces: Buffer[] = []
  let wake = (): void => {}
  const reader = large.openReader(() => wake())
  for (let at = 0; at < reader.totalBytes; ) {
    const woken = new Promise<void>((resolve) => {
      wake = resolve
    })
    const length = Math.min(PART_BYTES, reader.availableBytes - at)
    if (length <= 0) {
      await woken
      continue
    }
    for (const piece of reader.pieces(at, length)) pieces.push(Buffer.from(piece))
    at += length
  }
  reader.close()
  return Buffer.concat(pieces)
}
