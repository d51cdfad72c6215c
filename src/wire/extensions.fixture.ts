import { EXTENSION_HEAD_BYTES, EXTENSIONS_HEAD_BYTES } from './extensions.ts'
import { writeUint32 } from './integers.ts'
import { HAS_EXTENSIONS, OBJECT_HEAD_BYTES, parseRoute } from './objectHeader.ts'

/** An extension as a later version may send it. */
export interface Extension {
  readonly type: number
  readonly value: Uint8Array
}

export function encodeExtensions(extensions: readonly Extension[]): Buffer {
  const entries = extensions.map(({ type, value }) => {
    const entry = Buffer.alloc(EXTENSION_HEAD_BYTES + value.length)
    entry.writeUInt16LE(type, 0)
    entry.writeUInt16LE(value.length, 2)
    entry.set(value, EXTENSION_HEAD_BYTES)
    return entry
  })
  const head = Buffer.alloc(EXTENSIONS_HEAD_BYTES)
  head.writeUInt16LE(entries.reduce((bytes, { length }) => bytes + length, 0))
  return Buffer.concat([head, ...entries])
}

/** An OBJECT or STREAM_BEGIN of this library with bytes where its extensions belong. */
export function withExtensionBytes(frame: Buffer, bytes: Buffer): Buffer {
  const at = OBJECT_HEAD_BYTES + parseRoute(frame, 0, frame.length, () => true).destinationBytes
  const extended = Buffer.concat([frame.subarray(0, at), bytes, frame.subarray(at)])
  writeUint32(extended, 0, extended.length)
  extended[5] = (extended[5] ?? 0) | HAS_EXTENSIONS
  return extended
}

export function withExtensions(frame: Buffer, ...extensions: readonly Extension[]): Buffer {
  return withExtensionBytes(frame, encodeExtensions(extensions))
}
