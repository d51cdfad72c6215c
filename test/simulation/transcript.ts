import { createHash } from 'node:crypto'

const LINES_KEPT = 400

/** What happened in a simulation, for people; and its hash, by which two runs are compared. */
export class Transcript {
  readonly #hash = createHash('sha256')
  readonly #lines: string[] = []
  readonly #print: ((line: string) => void) | undefined

  constructor(print?: (line: string) => void) {
    this.#print = print
  }

  add(atMs: number, what: string): void {
    const line = `${(atMs / 1000).toFixed(4).padStart(9)}  ${what}`
    this.#hash.update(line)
    this.#print?.(line)
    this.#lines.push(line)
    if (this.#lines.length >= 2 * LINES_KEPT) this.#lines.splice(0, LINES_KEPT)
  }

  /** The last lines. */
  get tail(): string {
    return this.#lines.slice(-LINES_KEPT).join('\n')
  }

  /** The hash of all lines up to now. */
  get digest(): string {
    return this.#hash.copy().digest('hex')
  }
}
