/**
 * Whether some map in an encoding has a text as its key twice, found out with nothing of the decoder: it only walks over
 * the items (RFC 8949, appendix C). Undefined if they are not well-formed.
 */
export function hasRepeatedKey(cbor: Buffer): boolean | undefined {
  let at = 0
  let repeated = false

  function take(count: number): Buffer {
    if (count > cbor.length - at) throw new RangeError('cut off')
    at += count
    return cbor.subarray(at - count, at)
  }

  /** The length of an item, or -1 for an indefinite one. */
  function argument(info: number): number {
    if (info < 24) return info
    if (info === 31) return -1
    if (info > 27) throw new RangeError('reserved')
    return Number(BigInt(`0x${take(2 ** (info - 24)).toString('hex')}`))
  }

  function takeBreak(): boolean {
    if (cbor[at] !== 0xff) return false
    at++
    return true
  }

  function chunks(type: number): Buffer {
    const parts: Buffer[] = []
    while (!takeBreak()) {
      const initial = take(1).readUInt8()
      if (initial >> 5 !== type || (initial & 0x1f) === 31) throw new RangeError('not a piece')
      parts.push(take(argument(initial & 0x1f)))
    }
    return Buffer.concat(parts)
  }

  /** Walks over one item; tells which text it is, if it is one. */
  function item(): string | undefined {
    const initial = take(1).readUInt8()
    const type = initial >> 5
    const count = argument(initial & 0x1f)
    if (type === 2 || type === 3) {
      const content = count < 0 ? chunks(type) : take(count)
      return type === 3 ? content.toString('hex') : undefined
    }
    if (type === 4) for (let index = 0; index !== count && !(count < 0 && takeBreak()); index++) item()
    if (type === 5) map(count)
    if (type === 6) {
      if (count < 0) throw new RangeError('a tag without a number')
      const text = item()
      // 273: a string that UTF-8 cannot say.
      return count === 273 ? text : undefined
    }
    return undefined
  }

  function map(count: number): void {
    const keys = new Set<string>()
    for (let index = 0; index !== count && !(count < 0 && takeBreak()); index++) {
      const key = item()
      if (key !== undefined && keys.size === keys.add(key).size) repeated = true
      item()
    }
  }

  try {
    item()
    return repeated
  } catch {
    return undefined
  }
}
