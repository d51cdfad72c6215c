import { types } from 'node:util'
import type { CborWriter } from './cborWriter.ts'
import { tags } from './tags.ts'
import type { TypedArrayKind } from './typedArrays.ts'

function writeView(writer: CborWriter, view: ArrayBufferView, tag: number): boolean {
  writer.writeTag(tag)
  writer.writeBinary(view.buffer, view.byteOffset, view.byteLength)
  return true
}

/** Makes what writes the typed arrays of one kind. */
export function typedArrayWriter(kind: TypedArrayKind): (writer: CborWriter, object: object) => boolean {
  return (writer, object) => types.isTypedArray(object) && writeView(writer, object, kind.tag)
}

/** Writes a Node `Buffer`, as the plain byte string that other languages have. */
export function writeBuffer(writer: CborWriter, object: object): boolean {
  if (!types.isUint8Array(object)) return false
  writer.writeBinary(object.buffer, object.byteOffset, object.byteLength)
  return true
}

/** Writes an `ArrayBuffer`; of one that can be resized, its present content. */
export function writeArrayBuffer(writer: CborWriter, object: object): boolean {
  if (!types.isArrayBuffer(object)) return false
  writer.writeTag(tags.arrayBuffer)
  writer.writeBinary(object, 0, object.byteLength)
  return true
}

/** Writes a `DataView`: what it shows of its memory. */
export function writeDataView(writer: CborWriter, object: object): boolean {
  return types.isDataView(object) && writeView(writer, object, tags.dataView)
}
