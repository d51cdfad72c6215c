import type { Worker } from 'node:worker_threads'
import { createError, fromPlainError, type ObjectRelayError } from '../errors.ts'
import { startThread } from '../threads.ts'
import {
  type LoginTask,
  type LoginThreadReply,
  type LoginThreadRequest,
  type LoginValue,
  runTask,
} from './loginTask.ts'
import { type LoginComputation, type LoginResult, loadPasswordProof, type PasswordRecord } from './passwordLogin.ts'
import type { KeyStretching } from './proofMessages.ts'

interface Pending {
  readonly task: LoginTask
  readonly resolve: (value: LoginValue) => void
  readonly reject: (error: unknown) => void
}

/** A thread that has nothing to do ends: what stretching needs is up to 256 MiB, which only then is free again. */
const IDLE_MS = 2_000

/**
 * Does password stretching in a thread of its own, one after the other: what a verifier file asks for takes half a second, and more if
 * somebody else asks for it. If that thread cannot be had, it is done on the calling thread instead.
 */
class LoginWorker {
  readonly #pending = new Map<number, Pending>()
  #starting: Promise<Worker> | undefined
  #worker: Worker | undefined
  #idle: NodeJS.Timeout | undefined
  #nextId = 1

  /** Rejects with the signal's reason; what nobody waits for any more is not done to its end. */
  run(task: LoginTask, signal?: AbortSignal): Promise<LoginValue> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const id = this.#nextId++
      this.#pending.set(id, { task, resolve, reject })
      signal?.addEventListener('abort', () => this.#giveUp(id, signal.reason))
      clearTimeout(this.#idle)
      void this.#ask({ id, task })
    })
  }

  #giveUp(id: number, reason: unknown): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#pending.delete(id)
    pending.reject(reason)
    if (this.#pending.size === 0) this.#end()
  }

  async #ask(request: LoginThreadRequest): Promise<void> {
    try {
      this.#starting ??= this.#start()
      const worker = await this.#starting
      if (!this.#pending.has(request.id)) {
        if (this.#pending.size === 0) this.#end()
        return
      }
      // Who waits for it is not to be left alone.
      worker.ref()
      worker.postMessage(request)
    } catch {
      this.#starting = undefined
      this.#runHere()
    }
  }

  async #start(): Promise<Worker> {
    const worker = await startThread('objectrelay login', {})
    this.#worker = worker
    worker.on('message', (reply: LoginThreadReply) => this.#settle(reply))
    worker.on('error', () => this.#lose(worker))
    worker.on('exit', () => this.#lose(worker))
    return worker
  }

  #settle(reply: LoginThreadReply): void {
    const pending = this.#pending.get(reply.id)
    this.#pending.delete(reply.id)
    if ('error' in reply) pending?.reject(fromPlainError(reply.error))
    else pending?.resolve(reply.value)
    if (this.#pending.size > 0) return
    this.#worker?.unref()
    this.#idle = setTimeout(() => this.#end(), IDLE_MS)
    this.#idle.unref()
  }

  #end(): void {
    const worker = this.#worker
    // One that is about to start is ended by whom it was started for.
    if (worker === undefined) return
    this.#worker = undefined
    this.#starting = undefined
    void worker.terminate()
  }

  /** It could not start, or ended by itself: what it had to do is done here. */
  #lose(worker: Worker): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    this.#starting = undefined
    this.#runHere()
  }

  #runHere(): void {
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const { task, resolve, reject } of pending)
      loadPasswordProof()
        .then(() => resolve(runTask(task)))
        .catch(reject)
  }
}

const worker = new LoginWorker()

/** `finishLogin`, off this thread. Rejects with `PROTOCOL_VIOLATION` as that throws, or with the signal's reason. */
export async function finishLoginElsewhere(
  computation: LoginComputation,
  signal?: AbortSignal,
): Promise<LoginResult | undefined> {
  const value = await worker.run({ kind: 'finish', computation }, signal)
  if (value === undefined || 'ke3' in value) return value
  throw unexpected()
}

/** `registerPassword`, off this thread. */
export async function registerPasswordElsewhere(password: string, stretching: KeyStretching): Promise<PasswordRecord> {
  const value = await worker.run({ kind: 'register', password, stretching })
  if (value !== undefined && 'serverSetup' in value) return value
  throw unexpected()
}

function unexpected(): ObjectRelayError {
  return createError('BACKGROUND_FAILED', 'The thread for password stretching answered something else.')
}
