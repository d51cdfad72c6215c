/**
 * Whether two values are the same in all that can be seen: kinds, prototypes, order, holes, the sign of zero, and which
 * objects are one and the same.
 */
export function sameGraph(left: unknown, right: unknown, pairs: Map<object, object> = new Map()): boolean {
  if (typeof left !== 'object' || left === null || typeof right !== 'object' || right === null) {
    return Object.is(left, right)
  }
  const known = pairs.get(left)
  if (known !== undefined) return known === right
  pairs.set(left, right)
  if (Object.getPrototypeOf(left) !== Object.getPrototypeOf(right)) return false
  return sameContent(left, right, pairs) && sameProperties(left, right, pairs)
}

function sameContent(left: object, right: object, pairs: Map<object, object>): boolean {
  if (left instanceof Date && right instanceof Date) return Object.is(left.getTime(), right.getTime())
  if (left instanceof RegExp) return String(left) === String(right)
  if (left instanceof Map && right instanceof Map) return sameList([...left].flat(), [...right].flat(), pairs)
  if (left instanceof Set && right instanceof Set) return sameList([...left], [...right], pairs)
  if (left instanceof ArrayBuffer && right instanceof ArrayBuffer) return Buffer.from(left).equals(Buffer.from(right))
  if (ArrayBuffer.isView(left) && ArrayBuffer.isView(right)) return bytesOf(left).equals(bytesOf(right))
  if (left instanceof Error && right instanceof Error) {
    const hidden = (error: Error) => [error.name, error.message, error.stack, error.cause]
    return sameList(hidden(left), hidden(right), pairs)
  }
  if (left instanceof Number || left instanceof String || left instanceof Boolean || left instanceof BigInt) {
    return Object.is(left.valueOf(), right.valueOf())
  }
  return !Array.isArray(left) || left.length === Reflect.get(right, 'length')
}

function bytesOf(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength)
}

function sameProperties(left: object, right: object, pairs: Map<object, object>): boolean {
  if (ArrayBuffer.isView(left)) return true
  const names = Object.keys(left)
  return (
    sameList(names, Object.keys(right), pairs) &&
    names.every((name) => sameGraph(Reflect.get(left, name), Reflect.get(right, name), pairs))
  )
}

function sameList(left: readonly unknown[], right: readonly unknown[], pairs: Map<object, object>): boolean {
  return left.length === right.length && left.every((value, index) => sameGraph(value, right[index], pairs))
}
