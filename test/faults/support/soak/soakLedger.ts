import { closeSync, openSync, readSync } from 'node:fs'

const ACCEPTED = 1
const CAME = 2

/** The objects of one producer: a byte for each number. */
interface Source {
  flags: Uint8Array
  /** The highest that each consumer was given for the first time. */
  readonly highest: Map<string, number>
}

/** A journal that grows while it is read. */
interface Tail {
  readonly file: number
  readonly consumer: string
  rest: string
  readonly isBroadcast: boolean
}

/** What a soak run came to so far. */
export interface SoakCounts {
  accepted: number
  came: number
  /** Came again with the attempt counted: what a consumer that was killed had begun. */
  repeated: number
  /** Came again as if for the first time. */
  duplicated: number
  damaged: number
  outOfOrder: number
  failed: number
  heard: number
  skipped: number
}

/** Classes the objects of a long run while it goes on, in memory that does not depend on what was sent but for a byte each. */
export class SoakLedger {
  readonly counts: SoakCounts = {
    accepted: 0,
    came: 0,
    repeated: 0,
    duplicated: 0,
    damaged: 0,
    outOfOrder: 0,
    failed: 0,
    heard: 0,
    skipped: 0,
  }
  readonly #sources = new Map<string, Source>()
  readonly #tails: Tail[] = []
  readonly #buffer = Buffer.alloc(1 << 20)

  /** Reads that journal from now on; `consumer` tells whose order its arrivals are. */
  follow(path: string, consumer: string, { isBroadcast = false }: { isBroadcast?: boolean } = {}): void {
    this.#tails.push({ file: openSync(path, 'a+'), consumer, rest: '', isBroadcast })
  }

  /** Takes in what was written since the last time. */
  read(): void {
    for (const tail of this.#tails) {
      for (;;) {
        const length = readSync(tail.file, this.#buffer)
        if (length === 0) break
        const lines = (tail.rest + this.#buffer.toString('latin1', 0, length)).split('\n')
        tail.rest = lines.pop() ?? ''
        for (const line of lines) this.#line(tail, line)
      }
    }
  }

  /** Accepted and not come, up to now; each as its source and number. */
  *missing(): Generator<string> {
    for (const [name, { flags }] of this.#sources) {
      for (const [number, flag] of flags.entries()) if (flag === ACCEPTED) yield `${name} ${number}`
    }
  }

  close(): void {
    for (const { file } of this.#tails.splice(0)) closeSync(file)
  }

  #line({ consumer, isBroadcast }: Tail, line: string): void {
    const [what = '', name = '', number = '', attempt = '', skipped = ''] = line.split(' ')
    if (what === 'damaged') this.counts.damaged++
    else if (what === 'failed') this.counts.failed++
    else if (isBroadcast) this.#broadcast(what, consumer, this.#sourceOf(name), Number(number), Number(skipped))
    else if (what === 'accepted') {
      this.counts.accepted++
      this.#mark(this.#sourceOf(name), Number(number), ACCEPTED)
    } else this.#came(consumer, this.#sourceOf(name), Number(number), Number(attempt))
  }

  #came(consumer: string, source: Source, number: number, attempt: number): void {
    this.counts.came++
    if (((source.flags[number] ?? 0) & CAME) !== 0) {
      if (attempt > 1) this.counts.repeated++
      else this.counts.duplicated++
    }
    this.#mark(source, number, CAME)
    if (attempt === 1) this.#order(consumer, source, number)
  }

  #broadcast(what: string, consumer: string, source: Source, number: number, skipped: number): void {
    // Of broadcasts only their order is looked at: who was away when one was sent does not get it.
    if (what !== 'came') return
    this.counts.heard++
    this.counts.skipped += skipped
    this.#order(consumer, source, number)
  }

  #order(consumer: string, source: Source, number: number): void {
    if (number <= (source.highest.get(consumer) ?? -1)) this.counts.outOfOrder++
    else source.highest.set(consumer, number)
  }

  #mark(source: Source, number: number, flag: number): void {
    if (number >= source.flags.length) {
      const larger = new Uint8Array(Math.max(1_024, 2 * number))
      larger.set(source.flags)
      source.flags = larger
    }
    source.flags[number] = (source.flags[number] ?? 0) | flag
  }

  #sourceOf(name: string): Source {
    const source = this.#sources.get(name) ?? { flags: new Uint8Array(1_024), highest: new Map() }
    this.#sources.set(name, source)
    return source
  }
}
