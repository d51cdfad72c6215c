/** Strings up to this many bytes, whose length stands in their initial byte, are looked up; longer ones rarely repeat. */
export const cachedBytesMax = 23

const slotsMax = 1024

/** A string that came before; for keys also what usually follows it. */
export class CachedString {
  readonly text: string
  /** Whether it can be assigned as a property of a plain object without any precaution. */
  readonly ordinary: boolean
  /** The string as CBOR writes it. */
  readonly encoded: Uint8Array
  /** The key that followed this one last time. */
  next: CachedString | undefined = undefined
  /** The serial number of the object that it was last a key of. Of a new one it is not known. */
  usedIn: number = Number.MAX_SAFE_INTEGER
  /** Whether it is what the cache gives for its text. */
  current: boolean = true

  constructor(text: string) {
    // V8 keeps property names in one table; a string from there is assigned without being looked up each time.
    this.text = Object.keys({ [text]: 0 })[0] ?? text
    this.encoded = Buffer.from(`${String.fromCharCode(0x60 + text.length)}${text}`, 'latin1')
    this.ordinary = isOrdinaryKey(text)
  }

  /** Whether this string stands at `start`, with its initial byte. */
  isAt(bytes: Buffer, start: number): boolean {
    const { encoded } = this
    for (let index = 0; index < encoded.length; index++) if (encoded[index] !== bytes[start + index]) return false
    return true
  }

  /** Whether the bytes behind the initial byte are those of this string. */
  equals(bytes: Buffer, start: number, length: number): boolean {
    return this.encoded.length === length + 1 && this.isAt(bytes, start - 1)
  }
}

/**
 * Whether `object[key] = value` is all that is needed. Not for `__proto__`, which would set the prototype; not for other
 * names of Object.prototype, which cannot be assigned when that is frozen; not for numbers, which V8 keeps in an array.
 */
export function isOrdinaryKey(key: string): boolean {
  const first = key.charCodeAt(0)
  return !(first >= 0x30 && first <= 0x39) && !(key in Object.prototype)
}

/**
 * Gives short ASCII strings that came before without making them again. Bounded: a fixed number of slots. A string gets
 * its slot when it comes a second time, so that many different ones (identifiers) cost no more than being made.
 */
export class StringCache {
  private readonly slots: (CachedString | undefined)[] = new Array(slotsMax).fill(undefined)
  private readonly hashes: Int32Array = new Int32Array(slotsMax)

  /** The cached string; or a new one; or undefined if the bytes are not ASCII or too many. */
  get(bytes: Buffer, start: number, length: number): CachedString | string | undefined {
    let hash = length
    const end = start + length
    for (let position = start; position < end; position++) {
      const byte = bytes[position] as number // the caller compared the end with the end of the bytes
      if (byte >= 0x80) return undefined
      hash = (Math.imul(hash, 31) + byte) | 0
    }
    const slot = (hash ^ (hash >>> 15)) & (slotsMax - 1)
    const cached = this.slots[slot]
    if (cached?.equals(bytes, start, length)) return cached
    const text = bytes.toString('latin1', start, end)
    if (this.hashes[slot] !== hash) {
      this.hashes[slot] = hash
      return text
    }
    const added = new CachedString(text)
    if (cached !== undefined) cached.current = false
    this.slots[slot] = added
    return added
  }
}
