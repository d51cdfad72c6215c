/** The few forms of DER (X.690) that a certificate needs. Lengths are always the shortest ones, as DER demands. */

function element(tag: number, content: Uint8Array): Uint8Array {
  return joined([Uint8Array.of(tag), encodedLength(content.length), content])
}

function encodedLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length)
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Uint8Array.of(0x80 | bytes.length, ...bytes)
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

export function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return element(0x30, joined(parts))
}

export function set(...parts: readonly Uint8Array[]): Uint8Array {
  return element(0x31, joined(parts))
}

/** A field that is known by its number within its parent: `[number]`. */
export function tagged(number: number, content: Uint8Array, form: 'constructed' | 'primitive'): Uint8Array {
  return element((form === 'constructed' ? 0xa0 : 0x80) | number, content)
}

/** A positive integer from its bytes, most significant first. */
export function integer(bytes: Uint8Array): Uint8Array {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1
  const shortest = bytes.subarray(start)
  // The first bit is the sign.
  return element(0x02, (shortest[0] ?? 0) < 0x80 ? shortest : joined([Uint8Array.of(0), shortest]))
}

export function boolean(value: boolean): Uint8Array {
  return element(0x01, Uint8Array.of(value ? 0xff : 0))
}

export function octetString(content: Uint8Array): Uint8Array {
  return element(0x04, content)
}

/** A string of bits; `unused` of the last byte do not count. */
export function bitString(content: Uint8Array, unused = 0): Uint8Array {
  return element(0x03, joined([Uint8Array.of(unused), content]))
}

export function utf8String(text: string): Uint8Array {
  return element(0x0c, Buffer.from(text, 'utf8'))
}

/** An object identifier from its usual notation, such as `2.5.29.17`. */
export function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number)
  const bytes: number[] = []
  for (const arc of [first * 40 + second, ...others]) {
    const sevens = [arc & 0x7f]
    for (let rest = arc >>> 7; rest > 0; rest >>>= 7) sevens.unshift((rest & 0x7f) | 0x80)
    bytes.push(...sevens)
  }
  return element(0x06, Uint8Array.from(bytes))
}

/** A moment to the second: with two digits of the year until 2049 and with four from 2050 on, as RFC 5280 demands. */
export function time(moment: Date): Uint8Array {
  const digits = `${moment.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`
  return moment.getUTCFullYear() < 2050
    ? element(0x17, Buffer.from(digits.slice(2), 'latin1'))
    : element(0x18, Buffer.from(digits, 'latin1'))
}
