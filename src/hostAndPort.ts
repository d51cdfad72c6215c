/** What an IPv4 address looks like to a socket that listens for IPv6 too. */
const MAPPED = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i

/** An address as people write it: `::ffff:192.0.2.1` is 192.0.2.1. */
export function plainAddress(address: string): string {
  return MAPPED.exec(address)?.[1] ?? address
}

/** A host and a port as people write them: an IPv6 address in brackets, which tell where it ends. */
export function hostAndPort(host: string, port: number): string {
  const plain = plainAddress(host)
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`
}
