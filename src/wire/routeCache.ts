import { checkExtensions } from './extensions.ts'
import { OBJECT_HEAD_BYTES, type ParsedRoute, parseRoute } from './objectHeader.ts'

/** A route of many groups takes some 34 KB: counting routes would not bound them. */
const ROUTE_BYTES_MAX = 256 * 1024
/** What a route takes beside its bytes, roughly: the strings, the arrays, its place in the table. */
const ROUTE_OVERHEAD_BYTES = 256

/**
 * Remembers the routes that one peer uses, by their bytes, so that a frame to the same destination as the one before
 * costs a comparison of some bytes and no string.
 */
export class RouteCache {
  readonly #isName: (name: string) => boolean
  readonly #routes = new Map<string, { route: ParsedRoute; bytes: Buffer }>()
  #bytes = 0
  #last: { route: ParsedRoute; bytes: Buffer } | undefined

  constructor(isName: (name: string) => boolean) {
    this.#isName = isName
  }

  /** The route of the OBJECT or STREAM_BEGIN frame that lies from `start` to `end`. Throws `PROTOCOL_VIOLATION`. */
  read(buffer: Buffer, start: number, end: number): ParsedRoute {
    const last = this.#last
    if (last !== undefined && sameRoute(buffer, start, end, last.bytes)) {
      const { route } = last
      if (route.hasExtensions) checkExtensions(buffer, start + OBJECT_HEAD_BYTES + route.destinationBytes, end)
      return route
    }
    return this.#lookUp(buffer, start, end)
  }

  #lookUp(buffer: Buffer, start: number, end: number): ParsedRoute {
    const route = parseRoute(buffer, start, end, this.#isName)
    const destinationsEnd = start + OBJECT_HEAD_BYTES + route.destinationBytes
    const key = `${buffer[start + 5]},${buffer.toString('latin1', start + OBJECT_HEAD_BYTES, destinationsEnd)}`
    let known = this.#routes.get(key)
    if (known === undefined) {
      const bytes = Buffer.concat([
        Buffer.of(buffer[start + 5] ?? 0, buffer[start + 7] ?? 0),
        buffer.subarray(start + OBJECT_HEAD_BYTES, destinationsEnd),
      ])
      known = { route, bytes }
      this.#keep(key, known)
    }
    this.#last = known
    return known.route
  }

  #keep(key: string, known: { route: ParsedRoute; bytes: Buffer }): void {
    const bytes = known.bytes.length + ROUTE_OVERHEAD_BYTES
    if (this.#bytes + bytes > ROUTE_BYTES_MAX) {
      this.#routes.clear()
      this.#bytes = 0
    }
    this.#routes.set(key, known)
    this.#bytes += bytes
  }
}

function sameRoute(buffer: Buffer, start: number, end: number, bytes: Buffer): boolean {
  if (buffer[start + 5] !== bytes[0] || buffer[start + 7] !== bytes[1]) return false
  const at = start + OBJECT_HEAD_BYTES - 2
  if (at + bytes.length > end) return false
  for (let index = 2; index < bytes.length; index++) if (buffer[at + index] !== bytes[index]) return false
  return true
}
