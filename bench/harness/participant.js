import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** How long a process may take to end by itself when it is let go. */
const farewellMs = 2_000
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
   * @param {Record<string, string>} [environment] Beside this process's own.
   */
  constructor(name, onEnd, environment = {}) {
    this.name = name
    this.#onEnd = onEnd
    // Memory is compared before and after, which only means something after a garbage collection.
    this.#child = fork(childFile, [], {
      env: { ...process.env, ...environment },
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
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

  /** Lets the process go, so that it ends what it has started, and waits until it is gone. */
  async end() {
    if (this.#child.connected) this.#child.disconnect()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), farewellMs)
    await this.#exited
    clearTimeout(timer)
  }

  /** Ends the process as a crash would. */
  async kill() {
    this.#onEnd = () => {}
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
