/// <reference lib="esnext.disposable" preserve="true" />
// The relay on real links: its sessions turn frames into calls of the core, and what the core decides into frames.
// It may import core, wire, transport, security and store; never objects (it decodes none) nor endpoint.
// Changes that belong here: how an endpoint gets in, what its session does with frames, what leaves when the store has it, events and statistics.

import type { Worker } from 'node:worker_threads'
import { createError, fromPlainError, type ObjectRelayError } from '../errors.ts'
import { Emitter, type Listeners } from '../events.ts'
import { checkNames, durationOrInfinityOption } from '../options.ts'
import { startThread } from '../threads.ts'
import { RelayEmissions } from './relayEmissions.ts'
import type { RelayEvents } from './relayEvents.ts'
import type { RelayReply, RelayRequest } from './relayMessages.ts'
import { checkRelayOptions, type RelayOptions } from './relayOptions.ts'
import type { RelayStats, RelayStopResult } from './relayStats.ts'

const STOP_DEADLINE_MS = 5_000
/**
 * What a relay makes of JavaScript objects dies as soon as its window has passed: with 6 MiB hardly any of it is still needed
 * when it is collected. With less it is copied first; with more, it leaves the caches of the processor, and what large objects leave
 * behind takes more memory.
 */
const YOUNG_MEMORY_MIB = 6

/** The relay's thread learns after so many events that they were heard. */
const HEARD_STEP = 100

/** What the relay's thread was asked and has not answered. */
interface Question {
  readonly resolve: (value: never) => void
  readonly reject: (error: ObjectRelayError) => void
}

function stopped(): ObjectRelayError {
  return createError('STOPPED', 'The relay was stopped.')
}

/**
 * The centre that endpoints connect to. It runs in a thread of its own, so that neither it nor the program waits for
 * the other, and it keeps the program alive until it is stopped.
 */
export class Relay extends Emitter<RelayEvents> {
  /** The port that it listens on. */
  readonly port: number
  /** The address that it listens on. */
  readonly address: string
  readonly #worker: Worker
  readonly #events: RelayEmissions
  readonly #questions = new Map<number, Question>()
  #nextQuestion = 1
  #fingerprint256: string | undefined
  #stopped: Promise<RelayStopResult> | undefined
  #failure: ObjectRelayError | undefined

  private constructor(worker: Worker, started: Extract<RelayReply, { kind: 'started' }>, events: RelayEmissions) {
    super(events.listeners)
    this.#worker = worker
    this.#events = events
    this.port = started.port
    this.address = started.address
    this.#fingerprint256 = started.fingerprint256
  }

  /**
   * Starts a relay; resolves once it listens.
   *
   * Rejects with `INVALID_OPTION`; `PORT_IN_USE` or `CANNOT_LISTEN`; one of the `KEY_...` codes, `CERTIFICATE_EXPIRED`
   * or `CERTIFICATE_NOT_YET_VALID` for files in `keysDir` that are unfit.
   */
  static async start(options: RelayOptions): Promise<Relay> {
    const checked = checkRelayOptions(options)
    const events = new RelayEmissions(options.on as Listeners<RelayEvents> | undefined)
    const worker = await startThread('objectrelay relay', {
      workerData: checked,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEMORY_MIB },
    })
    let relay: Relay | undefined
    let heard = 0
    return await new Promise<Relay>((resolve, reject) => {
      worker.on('message', (reply: RelayReply) => {
        switch (reply.kind) {
          case 'started':
            events.port = reply.port
            relay = new Relay(worker, reply, events)
            resolve(relay)
            break
          case 'failed':
            reject(fromPlainError(reply.error))
            void worker.terminate()
            break
          case 'event':
            if (reply.event.name === 'certificateChanged' && relay !== undefined)
              relay.#fingerprint256 = reply.event.value.fingerprint256
            events.pass(reply.event)
            if (++heard < HEARD_STEP) break
            worker.postMessage({ kind: 'heard', count: heard } satisfies RelayRequest)
            heard = 0
            break
          case 'answer':
            if (relay !== undefined) relay.#answer(reply.id, reply.value)
            break
          case 'refusal':
            if (relay !== undefined) relay.#refuse(reply.id, fromPlainError(reply.error))
        }
      })
      let cause: Error | undefined
      worker.on('error', (error) => {
        cause = error
      })
      worker.on('exit', (code) => {
        const error = createError(
          'BACKGROUND_FAILED',
          `The relay's thread ended unexpectedly with code ${code}${cause === undefined ? '' : `: ${cause.message}`}.`,
          cause === undefined ? {} : { cause },
        )
        if (relay === undefined) reject(error)
        else relay.#exited(error)
      })
    })
  }

  /** The SHA-256 fingerprint of its certificate, of the newest one if it was replaced; `undefined` with `security: 'none'`. */
  get fingerprint256(): string | undefined {
    return this.#fingerprint256
  }

  /**
   * Reads key and certificate again, for new connections; those that stand keep theirs. The relay does so by itself some seconds
   * after the files have changed; this is for who does not want to wait, or wants to know why they are not taken. Resolves to
   * the fingerprint. Rejects as `start` does when the files are unfit, and the relay goes on with what it has.
   */
  async reloadKeys(): Promise<string | undefined> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#stopped !== undefined) throw stopped()
    return await this.#ask<string | undefined>((id) => ({ kind: 'reloadKeys', id }))
  }

  /** A snapshot of groups, endpoints, counters and memory. Rejects with `STOPPED` after a stop. */
  async stats(): Promise<RelayStats> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#stopped !== undefined) throw stopped()
    return await this.#ask<RelayStats>((id) => ({ kind: 'stats', id }))
  }

  /**
   * Takes nothing new, lets what is on its way to connected endpoints arrive, and ends, at the latest after
   * `deadlineMs` (default 5 000). Resolves to what could not be delivered. A second stop gives the same answer.
   */
  stop(options: { deadlineMs?: number | undefined } = {}): Promise<RelayStopResult> {
    this.#stopped ??= this.#stop(options)
    return this.#stopped
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #stop(options: { deadlineMs?: number | undefined }): Promise<RelayStopResult> {
    if (this.#failure !== undefined) throw this.#failure
    checkNames(options, ['deadlineMs'], { where: 'stop' })
    const deadlineMs = durationOrInfinityOption('deadlineMs', options.deadlineMs ?? STOP_DEADLINE_MS, 0)
    const exited = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()))
    const result = await this.#ask<RelayStopResult>((id) => ({ kind: 'stop', id, deadlineMs }))
    await exited
    return result
  }

  #ask<Answer>(request: (id: number) => { kind: string; id: number; deadlineMs?: number }): Promise<Answer> {
    const id = this.#nextQuestion++
    return new Promise<Answer>((resolve, reject) => {
      this.#questions.set(id, { resolve, reject })
      this.#worker.postMessage(request(id))
    })
  }

  #answer(id: number, value: RelayStats | RelayStopResult | string | undefined): void {
    this.#take(id)?.resolve(value as never) // the thread answers each kind of question with its kind of value
  }

  #refuse(id: number, error: ObjectRelayError): void {
    this.#take(id)?.reject(error)
  }

  #take(id: number): Question | undefined {
    const question = this.#questions.get(id)
    this.#questions.delete(id)
    return question
  }

  #exited(error: ObjectRelayError): void {
    const unanswered = [...this.#questions.values()]
    this.#questions.clear()
    for (const { reject } of unanswered) reject(this.#stopped === undefined ? error : stopped())
    if (this.#stopped !== undefined) return
    this.#failure = error
    this.#events.fail(error)
  }
}
