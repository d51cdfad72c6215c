import { formatBytes, formatSeconds } from './units.ts'

const barCharacters = 24
const redrawMs = 200
const columnsDefault = 80
/** Below it is over before it could be read. */
const showAfterMs = 500

/** One line on a terminal: how far a transfer is, how fast, and how long it will take. */
export function progressLine(
  { bytes, accepted, totalBytes }: { bytes: number; accepted: number; totalBytes: number | undefined },
  elapsedMs: number,
): string {
  const perSecond = elapsedMs > 0 ? (bytes * 1_000) / elapsedMs : 0
  const facts = [`${formatBytes(bytes)} read`, `${formatBytes(Math.round(perSecond))}/s`, `${accepted} accepted`]
  if (totalBytes === undefined || totalBytes === 0) return facts.join(', ')
  const part = Math.min(1, bytes / totalBytes)
  const filled = Math.round(part * barCharacters)
  const bar = `[${'#'.repeat(filled)}${'.'.repeat(barCharacters - filled)}] ${Math.floor(part * 100)}%`
  const left = perSecond > 0 && part < 1 ? [`${formatSeconds((totalBytes - bytes) / perSecond)} left`] : []
  return [bar, ...facts, ...left].join(', ')
}

/** Shows progress on standard error when that is a terminal, and nothing anywhere else. */
export class ProgressBar {
  readonly #totalBytes: number | undefined
  readonly #startMs = performance.now()
  readonly #timer: NodeJS.Timeout | undefined
  #bytes = 0
  #accepted = 0
  #isShown = false

  constructor(totalBytes: number | undefined, isWanted: boolean) {
    this.#totalBytes = totalBytes
    if (isWanted && process.stderr.isTTY) this.#timer = setInterval(() => this.#draw(), redrawMs).unref()
  }

  addBytes(bytes: number): void {
    this.#bytes += bytes
  }

  setAccepted(objects: number): void {
    this.#accepted = objects
  }

  /** Wipes the line away, so that what is said next stands at its beginning. */
  end(): void {
    clearInterval(this.#timer)
    if (this.#isShown) process.stderr.write('\r\x1b[K')
    this.#isShown = false
  }

  #draw(): void {
    const elapsedMs = performance.now() - this.#startMs
    if (elapsedMs < showAfterMs) return
    const line = progressLine({ bytes: this.#bytes, accepted: this.#accepted, totalBytes: this.#totalBytes }, elapsedMs)
    // A line that wraps could not be wiped away. Some terminals say that they have 0 columns.
    const columns = process.stderr.columns || columnsDefault
    process.stderr.write(`\r${line.slice(0, columns - 1)}\x1b[K`)
    this.#isShown = true
  }
}
