import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { within } from './waiting.ts'

const projectFolder = fileURLToPath(new URL('../..', import.meta.url))

/** Stands before each program: what it was given, and how it tells what it does. */
const prelude = `
import { Endpoint, Relay } from 'objectrelay'
const settings = JSON.parse(process.env.PROGRAM_SETTINGS)
const say = (event, value = null) => console.log(JSON.stringify({ event, value }))
`

/** How a program ended. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

interface Message {
  readonly event: string
  readonly value: unknown
}

const running = new Set<Program>()

/**
 * A program of a user in a process of its own: an ES module, given as text, that imports this package by its name. It has
 * \`settings\`, and tells the test what it does by \`say(event, value)\`.
 */
export class Program {
  readonly exited: Promise<Exit>
  readonly #child: ChildProcess
  readonly #messages: Message[] = []
  #errors = ''
  #arrived: () => void = () => undefined
  #ended = false

  constructor(source: string, settings: object) {
    this.#child = spawn(process.execPath, ['--input-type=module', '--eval', prelude + source], {
      cwd: projectFolder,
      env: { ...process.env, PROGRAM_SETTINGS: JSON.stringify(settings) },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    running.add(this)
    const { stdout, stderr } = this.#child
    if (stdout === null || stderr === null) throw new Error('The program has no output.')
    createInterface({ input: stdout }).on('line', (line) => this.#hear(line))
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text
    })
    this.exited = new Promise((resolve, reject) => {
      this.#child.on('error', reject)
      this.#child.on('close', (code, signal) => {
        this.#ended = true
        running.delete(this)
        this.#arrived()
        resolve({ code, signal })
      })
    })
  }

  get alive(): boolean {
    return !this.#ended
  }

  /** What the program wrote to its standard error. */
  get errors(): string {
    return this.#errors
  }

  /** The value of the next event of that name; others before it are left out. */
  async heard(event: string, timeoutMs = 20_000): Promise<unknown> {
    return await within(this.#next(event), `"${event}" of the program; ${this.#errors}`, timeoutMs)
  }

  /** Writes a line to the program's standard input, which it does not wait for unless it reads it. */
  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  #hear(line: string): void {
    this.#messages.push(JSON.parse(line) as Message) // the prelude writes nothing else
    this.#arrived()
  }

  async #next(event: string): Promise<unknown> {
    for (;;) {
      for (let message = this.#messages.shift(); message !== undefined; message = this.#messages.shift()) {
        if (message.event === event) return message.value
      }
      if (this.#ended) throw new Error(`The program ended before "${event}": ${this.#errors}`)
      await new Promise<void>((resolve) => {
        this.#arrived = resolve
      })
    }
  }
}

/** Ends the programs of a test that are still there. */
export async function endPrograms(): Promise<void> {
  const left = [...running]
  for (const program of left) program.kill('SIGKILL')
  await Promise.all(left.map((program) => program.exited))
}
