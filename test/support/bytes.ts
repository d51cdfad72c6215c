/** Whether two arrays are of one class and hold the same bytes; far quicker than comparing their elements. */
export function sameBytes(actual: unknown, expected: ArrayBufferView): boolean {
  if (!ArrayBuffer.isView(actual) || actual.constructor !== expected.constructor) return false
  return asBuffer(actual).equals(asBuffer(expected))
}

function asBuffer({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
