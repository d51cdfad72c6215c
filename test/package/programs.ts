import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'

/** How a program ended, and everything that it printed. */
export interface Outcome {
  code: number | null
  output: string
}

/** A program that was started. */
export interface RunningProgram {
  readonly outcome: Promise<Outcome>
  /** Asks it to end. */
  end(): void
}

const running = new Set<ChildProcess>()

/** Starts a program without a shell. After `timeLimitMs` it is ended, and its exit code is then not 0. */
export function startProgram(
  command: string,
  parameters: readonly string[],
  {
    folder,
    environment = {},
    timeLimitMs = 30_000,
  }: { folder: string; environment?: Record<string, string>; timeLimitMs?: number },
): RunningProgram {
  const child = spawn(command, parameters, {
    cwd: folder,
    // The test runner's own settings are not for it.
    env: { ...process.env, NODE_OPTIONS: '', VITEST: '', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  const outcome = new Promise<Outcome>((resolve, reject) => {
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    }
    const timer = setTimeout(() => {
      output += `\nEnded by the test after ${timeLimitMs} ms.`
      child.kill('SIGKILL')
    }, timeLimitMs)
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      running.delete(child)
      resolve({ code, output })
    })
  })
  return { outcome, end: () => void child.kill('SIGTERM') }
}

/** Runs a program to its end. */
export function runProgram(
  command: string,
  parameters: readonly string[],
  options: { folder: string; environment?: Record<string, string>; timeLimitMs?: number },
): Promise<Outcome> {
  return startProgram(command, parameters, options).outcome
}

/** Ends what a test that failed has left. */
export function endAllPrograms(): void {
  for (const child of running) child.kill('SIGKILL')
}

/** A port of the loopback interface that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('The system gave no port.')
  return address.port
}
