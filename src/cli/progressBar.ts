import { formatBytes, formatSeconds } from './units.ts'

const barCharactersMax = 40
const barCharactersMin = 8
const redrawMs = 200
const columnsDefault = 80
/** Below it is over before it could be read. */
const showAfterMs = 500
/** The rate is that of the last seconds: what was before says nothing about what is left. */
const rateMs = 5_000

/** How far a transfer is. */
export interface Progress {
  /** Bytes that are through: accepted by the relay, or arrived from it. */
  readonly doneBytes: number
  /** Of how many, if that is known. */
  readonly totalBytes: number | undefined
  /** What is done with them, such as `sent`. */
  readonly verb: string
  /** What is counted, such as `3 accepted`. */
  readonly count: string
  /** Whether the end is reached: bytes may all be on the other side before their object is accepted. */
  readonly isDone: boolean
}

/** One line for a terminal of so many columns: how far a transfer is, how fast, and how long it will take. What has no room is left out, the bar first. */
export function progressLine(progress: Progress, bytesPerSecond: number, columns: number): string {
  const { doneBytes, totalBytes, verb, count, isDone } = progress
  const isKnown = totalBytes !== undefined && totalBytes > 0
  const part = isKnown ? Math.min(isDone ? 1 : 0.99, doneBytes / totalBytes) : 0
  const left =
    isKnown && bytesPerSecond > 0 && part < 1 ? `${formatSeconds((totalBytes - doneBytes) / bytesPerSecond)} left` : ''
  const bytes = isKnown
    ? `${formatBytes(Math.min(doneBytes, totalBytes))} of ${formatBytes(totalBytes)}`
    : formatBytes(doneBytes)
  const facts = [
    ...(isKnown ? [`${Math.floor(part * 100)}%`] : []),
    `${bytes} ${verb}`,
    count,
    `${formatBytes(Math.round(bytesPerSecond))}/s`,
    left,
  ].filter((fact) => fact !== '')
  // A line that fills the last column wraps on some terminals, and could not be wiped away.
  const room = columns - 1
  while (facts.length > 1 && facts.join(', ').length > room) facts.pop()
  const text = facts.join(', ').slice(0, room)
  const barCharacters = Math.min(barCharactersMax, room - text.length - 3)
  if (!isKnown || barCharacters < barCharactersMin) return text
  const filled = Math.round(part * barCharacters)
  return `[${'#'.repeat(filled)}${'.'.repeat(barCharacters - filled)}] ${text}`
}

/** How many bytes a second came lately. */
export class Rate {
  #samples: { readonly atMs: number; readonly bytes: number }[]

  constructor(atMs: number) {
    this.#samples = [{ atMs, bytes: 0 }]
  }

  /** Takes how many it were in all by now. */
  add(atMs: number, bytes: number): number {
    this.#samples.push({ atMs, bytes })
    // The last one that is older stays, as the beginning.
    while ((this.#samples[1]?.atMs ?? atMs) <= atMs - rateMs) this.#samples.shift()
    const first = this.#samples[0]
    if (first === undefined || first.atMs === atMs) return 0
    return Math.max(0, ((bytes - first.bytes) * 1_000) / (atMs - first.atMs))
  }
}

/** Shows progress on standard error when that is a terminal, and nothing anywhere else. */
export class ProgressBar {
  readonly #startMs = performance.now()
  readonly #rate: Rate
  readonly #timer: NodeJS.Timeout | undefined
  #read: (() => Progress | undefined) | undefined
  #isShown = false

  constructor(isWanted: boolean) {
    this.#rate = new Rate(this.#startMs)
    if (isWanted && process.stderr.isTTY) this.#timer = setInterval(() => this.#draw(), redrawMs).unref()
  }

  /** What is shown from now on; `undefined` while there is nothing to show. */
  show(read: () => Progress | undefined): void {
    this.#read = read
  }

  /** Wipes the line away, so that what is said next stands at its beginning. */
  wipe(): void {
    if (this.#isShown) process.stderr.write('\r\x1b[K')
    this.#isShown = false
  }

  end(): void {
    clearInterval(this.#timer)
    this.wipe()
  }

  #draw(): void {
    const nowMs = performance.now()
    const progress = this.#read?.()
    if (progress === undefined) {
      this.wipe()
      return
    }
    const bytesPerSecond = this.#rate.add(nowMs, progress.doneBytes)
    if (nowMs - this.#startMs < showAfterMs) return
    // The width may change at any time. Some terminals say that they have 0 columns.
    const columns = process.stderr.columns || columnsDefault
    process.stderr.write(`\r${progressLine(progress, bytesPerSecond, columns)}\x1b[K`)
    this.#isShown = true
  }
}
