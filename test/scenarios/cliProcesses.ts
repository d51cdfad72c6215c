import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const main: string = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly input?: string | Uint8Array
  readonly environment?: Readonly<Record<string, string>>
}

/** A command that runs: what it said so far, and what it will have ended with. */
export class CommandProcess {
  readonly child: ChildProcessWithoutNullStreams
  readonly outcome: Promise<Outcome>
  stdout = ''
  stderr = ''

  constructor(parameters: readonly string[], environment: NodeJS.ProcessEnv, user?: number) {
    const as = user === undefined ? {} : { uid: user, gid: user }
    this.child = spawn(process.execPath, [main, ...parameters], { env: environment, ...as })
    this.child.stdout.setEncoding('utf8').on('data', (text) => {
      this.stdout += text
    })
    this.child.stderr.setEncoding('utf8').on('data', (text) => {
      this.stderr += text
    })
    // A command may end before it has read all of its input.
    this.child.stdin.on('error', () => undefined)
    this.outcome = new Promise((resolve, reject) => {
      this.child.on('error', reject)
      this.child.on('close', (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }))
    })
  }

  /** Resolves when standard output has it. */
  async untilSaid(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<void> {
    while (!pattern.test(this[stream])) {
      if (this.child.exitCode !== null)
        throw new Error(`It ended without saying ${pattern}: ${this.stderr}${this.stdout}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}

/** A folder with the user's data, a password, and the commands that were started there. */
export class Workshop {
  readonly folder: string
  /** What the commands are given. */
  readonly environment: NodeJS.ProcessEnv
  readonly #running = new Set<CommandProcess>()
  readonly #shells = new Set<ChildProcess>()

  private constructor(folder: string) {
    this.folder = folder
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('OBJECTRELAY_'))
    this.environment = {
      ...Object.fromEntries(inherited),
      XDG_DATA_HOME: join(folder, 'data'),
      OBJECTRELAY_PASSWORD: 'rope-lantern-quartz-91-violet',
    }
  }

  static async open(): Promise<Workshop> {
    return new Workshop(await mkdtemp(join(tmpdir(), 'objectrelay-cli-')))
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts)
  }

  /** Starts a command; a variable that is `undefined` is not there. As another `user` only root can do it. */
  start(
    parameters: readonly string[],
    environment: Readonly<Record<string, string | undefined>> = {},
    user?: number,
  ): CommandProcess {
    const command = new CommandProcess(parameters, { ...this.environment, ...environment }, user)
    this.#running.add(command)
    void command.outcome.finally(() => this.#running.delete(command))
    return command
  }

  async run(parameters: readonly string[], { input = '', environment = {} }: RunOptions = {}): Promise<Outcome> {
    const command = this.start(parameters, environment)
    command.child.stdin.end(input)
    return await command.outcome
  }

  /** Runs a line of the shell, in which $objectrelay is this program; what it prints, and its exit code. */
  async shell(line: string): Promise<Outcome> {
    const objectrelay = `${process.execPath} ${main}`
    // A group of its own, so that all that the shell has started can be ended.
    const child = spawn('sh', ['-c', line], {
      env: { ...this.environment, objectrelay },
      cwd: this.folder,
      detached: true,
    })
    this.#shells.add(child)
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (text) => {
      stdout += text
    })
    child.stderr.on('data', (text) => {
      stderr += text
    })
    child.stdin.end()
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
    this.#shells.delete(child)
    return { code, stdout, stderr }
  }

  /** Starts a relay on a free port of loopback. */
  async relay(
    parameters: readonly string[] = [],
    environment: Readonly<Record<string, string | undefined>> = {},
    user?: number,
  ): Promise<CommandProcess & { readonly port: string; readonly fingerprint: string }> {
    const parametersOfRelay = ['relay', '--port', '0', '--host', '127.0.0.1', '--json', ...parameters]
    const command = this.start(parametersOfRelay, environment, user)
    await command.untilSaid(/"listening".*\n/)
    const line = command.stdout.split('\n').find((text) => text.includes('"listening"')) ?? ''
    const { port, fingerprint256 } = JSON.parse(line)
    return Object.assign(command, { port: String(port), fingerprint: String(fingerprint256) })
  }

  /** Ends what still runs, each by its own id, and removes the folder. */
  async close(): Promise<void> {
    const running = [...this.#running]
    for (const { child } of running) child.kill('SIGKILL')
    for (const { pid } of this.#shells) if (pid !== undefined) process.kill(-pid, 'SIGKILL')
    await Promise.all(running.map(({ outcome }) => outcome))
    await rm(this.folder, { recursive: true, force: true })
  }
}
