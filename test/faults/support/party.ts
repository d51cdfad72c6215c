import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { EndpointStats, RelayStats, RelayStopResult } from 'objectrelay'
import { eventually, within } from '../../support/waiting.ts'

const partyFile = fileURLToPath(new URL('./party.js', import.meta.url))

/** Something that happened at a relay or an endpoint of a party; `value` is the event's, errors as code and message. */
export interface PartyEvent {
  readonly event: string
  readonly name: string
  readonly value: Readonly<Record<string, unknown>>
  readonly atMs: number
}

/** What an order to send came to. */
export interface SendOutcome {
  readonly accepted: number
  readonly failed: Readonly<Record<string, number>>
  readonly slowestMs: number
  readonly tookMs: number
}

/** What an order to stop an endpoint came to: the numbers of the objects that were handed back. */
export interface StopOutcome {
  readonly undelivered: readonly number[]
  readonly deadlineReached: boolean
}

type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly code: string; readonly message: string } }

/** A process of its own with a relay or with endpoints, which can be killed and frozen. */
export class Party {
  readonly events: PartyEvent[] = []
  readonly exited: Promise<unknown>
  readonly #child: ChildProcess
  readonly #questions = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  #nextQuestion = 1
  #errors = ''
  #isDismissed = false

  constructor() {
    this.#child = fork(partyFile, {
      execArgv: ['--expose-gc'],
      serialization: 'json',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text
    })
    // The party sends answers and events, and nothing else.
    this.#child.on('message', (message) => this.#hear(message as Answer | PartyEvent))
    this.exited = once(this.#child, 'exit').then((how) => {
      if (this.#isDismissed) return how
      for (const { reject } of this.#questions.values()) reject(new Error(`The party ended: ${how} ${this.#errors}`))
      this.#questions.clear()
      return how
    })
  }

  /** Has the party do something; resolves to what it answered, rejects with the code of its error in the message. */
  async ask(command: string, argument: object = {}): Promise<unknown> {
    const id = this.#nextQuestion++
    return await new Promise((resolve, reject) => {
      this.#questions.set(id, { resolve, reject })
      this.#child.send({ id, command, argument })
    })
  }

  async relayStats(): Promise<RelayStats> {
    return (await this.ask('relayStats')) as RelayStats // as `relay.stats()` gave it
  }

  async stopRelay(deadlineMs: number): Promise<RelayStopResult> {
    return (await this.ask('stopRelay', { deadlineMs })) as RelayStopResult // as `relay.stop()` gave it
  }

  async endpointStats(name: string): Promise<EndpointStats> {
    return (await this.ask('endpointStats', { name })) as EndpointStats // as `endpoint.stats()` gave it
  }

  async send(order: object): Promise<SendOutcome> {
    return (await this.ask('send', order)) as SendOutcome // of sending.js
  }

  async stopEndpoint(name: string, deadlineMs: number): Promise<StopOutcome> {
    return (await this.ask('stopEndpoint', { name, deadlineMs })) as StopOutcome // of endpointRole.js
  }

  /** Bytes of memory that the process has. */
  async residentBytes(): Promise<number> {
    const { rss } = (await this.ask('memory')) as NodeJS.MemoryUsage // of the process
    return rss
  }

  /** Bytes of JavaScript objects on the program's thread. */
  async heapBytes(): Promise<number> {
    const { heapUsed } = (await this.ask('memory')) as NodeJS.MemoryUsage // of the process
    return heapUsed
  }

  /** The first event that fits; it may have happened already. */
  async heard(
    event: string,
    fits: (event: PartyEvent) => boolean = () => true,
    timeoutMs = 15_000,
  ): Promise<PartyEvent> {
    const find = () => this.events.find((one) => one.event === event && fits(one))
    const found = await eventually(find, (one) => one !== undefined || this.#child.exitCode !== null, timeoutMs)
    if (found === undefined) throw new Error(`The party ended before "${event}": ${this.#errors}`)
    return found
  }

  /** How often that happened, since `sinceMs` if given. */
  count(event: string, sinceMs = 0): number {
    return this.events.filter((one) => one.event === event && one.atMs >= sinceMs).length
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Ends it at once, as the operating system would. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    await within(this.exited, 'the end of a party')
  }

  /** Ends it after the test: what it was asked and has not done is of no interest any more. */
  async dismiss(): Promise<void> {
    this.#isDismissed = true
    await this.kill()
  }

  #hear(message: Answer | PartyEvent): void {
    if (!('id' in message)) {
      this.events.push({ ...message, value: message.value ?? {} })
      return
    }
    const question = this.#questions.get(message.id)
    this.#questions.delete(message.id)
    if ('error' in message)
      question?.reject(new Error(`${message.error.code} ${message.error.message} ${this.#errors}`))
    else question?.resolve(message.value)
  }
}
