import { Destinations } from '../../src/endpoint/program/destinations.ts'
import { checkEndpointOptions } from '../../src/endpoint/program/endpointOptions.ts'
import { EndpointProgram } from '../../src/endpoint/program/endpointProgram.ts'
import { checkTakeOptions } from '../../src/endpoint/program/takeOptions.ts'
import { PASSWORD } from './channel.ts'
import { fail } from './failure.ts'
import type { FuzzIo } from './fuzzIo.ts'

const GROUP = 'safe'

/**
 * Two endpoints that keep all rules and exchange numbered objects beside those that do not: whatever happens next to
 * them, each object arrives once and in order, and none of their promises breaks.
 */
export class Neighbours {
  readonly #settle: () => Promise<void>
  readonly #destinations = new Destinations()
  readonly #sender: EndpointProgram
  readonly #receiver: EndpointProgram
  readonly #next = { produce: 0, broadcast: 0 }
  readonly #sent = { produce: 0, broadcast: 0 }
  #problem: string | undefined
  /** Whether their relay was killed, so that they may say that they lost it. */
  #isRestarting = false
  /** Objects that were exchanged. */
  exchanged = 0

  constructor(io: FuzzIo, port: number, settle: () => Promise<void>) {
    this.#settle = settle
    this.#sender = this.#open(io, port, [])
    this.#receiver = this.#open(io, port, [GROUP])
  }

  #open(io: FuzzIo, port: number, groups: string[]): EndpointProgram {
    const mind = (what: string) => (value: unknown) => {
      this.#problem ??= `A neighbour hears ${what}: ${JSON.stringify(value)} ${value instanceof Error ? value.message : ''}`
    }
    const mindUnlessRestarted = (what: string) => (value: unknown) => {
      if (!this.#isRestarting) mind(what)(value)
    }
    const on = {
      error: mind('an error'),
      reconnecting: mindUnlessRestarted('that its link is lost'),
      disconnected: mind('that it is refused'),
      sessionLost: mindUnlessRestarted('that its session is lost'),
      objectsDropped: mind('of drops'),
      blocked: mind('that it is blocked'),
    }
    return new EndpointProgram(checkEndpointOptions({ host: '127.0.0.1', port, password: PASSWORD, groups, on }), io)
  }

  /** Their relay is killed and started again: they lose links and sessions, and nothing else. */
  expectRestart(): void {
    this.#isRestarting = true
  }

  get areConnected(): boolean {
    return [this.#sender, this.#receiver].every(({ status }) => status.condition === 'connected')
  }

  /** Sends some objects, large ones among them if asked to, and takes all of them. */
  async exchange(bytes: number): Promise<void> {
    this.#isRestarting = false
    const answers: Promise<unknown>[] = []
    for (const kind of ['produce', 'broadcast', 'produce'] as const) {
      const object = { kind, number: this.#sent[kind]++, bytes: new Uint8Array(bytes) }
      answers.push(
        this.#sender.sender.send(object, this.#destinations.groups(kind, GROUP), { transfer: false, replace: false }),
      )
    }
    this.#receiver.credit.notify({ [GROUP]: 2 })
    let settled = 0
    let refused: unknown
    for (const answer of answers) answer.then(() => settled++).catch((thrown: unknown) => (refused = thrown))
    await this.#settle()
    const { objects, entries } = await this.#receiver.consumer.take(checkTakeOptions('all', {}, false))
    for (const [index, object] of objects.entries()) this.#check(object, bytes, entries[index]?.skipped ?? 0)
    await this.#settle()
    if (this.#problem !== undefined) fail(this.#problem)
    if (refused !== undefined) fail(`An object of a neighbour was refused: ${String(refused)}`)
    if (settled !== 3) fail(`Only ${settled} of 3 objects of a neighbour were accepted.`)
    if (objects.length !== 3) fail(`${objects.length} instead of 3 objects of a neighbour arrived.`)
    this.exchanged += objects.length
  }

  #check(object: unknown, bytes: number, skipped: number): void {
    if (typeof object !== 'object' || object === null || !('kind' in object && 'number' in object && 'bytes' in object))
      fail('A neighbour took something that nobody sent.')
    const { kind, number, bytes: content } = object
    if (kind !== 'produce' && kind !== 'broadcast') fail(`A neighbour took an object of the kind ${String(kind)}.`)
    if (number !== this.#next[kind]) fail(`A neighbour took ${kind} ${String(number)} instead of ${this.#next[kind]}.`)
    if (skipped !== 0) fail(`A neighbour missed ${skipped} broadcasts.`)
    if (!(content instanceof Uint8Array) || content.length !== bytes) fail('A neighbour took a damaged object.')
    this.#next[kind]++
  }

  async stop(clockMs: (ms: number) => void): Promise<void> {
    const stops = [this.#sender.stopping.run(1_000), this.#receiver.stopping.run(1_000)]
    await this.#settle()
    clockMs(2_000)
    await this.#settle()
    await Promise.all(stops)
    // Stopping is a word of theirs.
    this.#problem = undefined
  }
}
