/** Internet addresses as bytes: for certificates, and for counting by address. */

/** The 4 or 16 bytes of an address, or undefined if the text is none. A zone (`fe80::1%eth0`) is left out. */
export function parseAddress(text: string): Uint8Array | undefined {
  if (text.length > 100) return undefined
  return parseFour(text) ?? parseSixteen(text.split('%', 1)[0] ?? '')
}

/** The bytes of an IPv4 address that comes as an IPv6 one (`::ffff:192.0.2.1`), or those that were given. */
export function unmapAddress(bytes: Uint8Array): Uint8Array {
  const isMapped =
    bytes.length === 16 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255
  return isMapped ? bytes.subarray(12) : bytes
}

/** The narrowest first. */
export type AddressPrefixes = readonly [string, ...string[]]

/**
 * What an address counts as, from what one machine may have to what one customer may have: an IPv4 address itself; the /64, /56 and /48
 * of an IPv6 one. Text that is no address (a test, a pipe) counts as it is, cut short.
 */
export function addressPrefixes(address: string): AddressPrefixes {
  const bytes = parseAddress(address)
  if (bytes === undefined) return [address.slice(0, 64)]
  const plain = unmapAddress(bytes)
  if (plain.length === 4) return [plain.join('.')]
  const prefix = (count: number): string => `${Buffer.from(plain.subarray(0, count)).toString('hex')}/${count * 8}`
  return [prefix(8), prefix(7), prefix(6)]
}

function parseFour(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part))) return undefined
  const numbers = parts.map(Number)
  return numbers.every((number) => number <= 255) ? Uint8Array.from(numbers) : undefined
}

function parseSixteen(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0] ?? '', halves.length === 1)
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : []
  if (head === undefined || tail === undefined) return undefined
  const missing = 16 - head.length - tail.length
  // "::" stands for at least one group of zeros.
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail])
}

function parseGroups(text: string, mayEndInFour: boolean): number[] | undefined {
  if (text === '') return []
  const groups = text.split(':')
  const bytes: number[] = []
  for (const [index, group] of groups.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16)
      bytes.push(value >>> 8, value & 0xff)
      continue
    }
    const four = mayEndInFour && index === groups.length - 1 ? parseFour(group) : undefined
    if (four === undefined) return undefined
    bytes.push(...four)
  }
  return bytes
}

/** Whether the text can be a host name: letters, digits and hyphens in parts of up to 63, at most 253 in all. */
export function isHostName(text: string): boolean {
  if (text.length > 253 || parseFour(text) !== undefined) return false
  return text.split('.').every((label) => /^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)$/.test(label))
}
