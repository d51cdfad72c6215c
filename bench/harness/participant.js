import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const childFile = fileURLToPath(new URL('./child.js', import.meta.url))

/** A process of one run: calls go to it over IPC, answers come back. */
export class Participant {
  #child
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map()
  #lastCall = 0
  #exited
  #onEnd
  /** @type {Error | undefined} */
  #failure

  /**
   * @param {string} name
   * @param {(error: Error) => void} onEnd Called when the process is gone, also when nobody waits for an answer.
   */
  constructor(name, onEnd) {
    this.name = name
    this.#onEnd = onEnd
    // Memory is compared before and after, which only means something after a garbage collection.
    this.#child = fork(childFile, [], { execArgv: ['--expose-gc'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', (/** @type {any} */ answer) => this.#settle(answer))
    this.#exited = new Promise((resolve) => this.#child.on('exit', resolve))
    this.#child.on('exit', (code, signal) => this.#fail(`the ${name} process ended (${signal ?? code})`))
    this.#child.on('error', (error) => this.#fail(`the ${name} process: ${error.message}`))
  }

  /**
   * @param {string} action
   * @param {object} [argument]
   * @returns {Promise<any>}
   */
  call(action, argument) {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const call = ++this.#lastCall
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject })
      this.#child.send({ call, action, argument })
    })
  }

  /** Ends the process and waits until it is gone. */
  async end() {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  /** @param {{ call: number, value?: unknown, error?: string }} answer */
  #settle({ call, value, error }) {
    const waiting = this.#waiting.get(call)
    this.#waiting.delete(call)
    if (error === undefined) waiting?.resolve(value)
    else waiting?.reject(new Error(`${this.name}: ${error}`))
  }

  /** @param {string} message */
  #fail(message) {
    this.#failure = new Error(message)
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#waiting.clear()
    this.#onEnd(this.#failure)
  }
}
