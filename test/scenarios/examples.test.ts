import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

const running = new Set<ChildProcess>()
const password = 'examples in a test: 8fK2q'
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'objectrelay-examples-'))
})
afterEach(() => {
  // The examples end what they start when they are asked to end, so no stronger signal is used.
  for (const child of running) child.kill('SIGTERM')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

interface Outcome {
  code: number | null
  output: string
}

/** Runs an example as a user does; `timeLimitMs` ends it, and its exit code is then not 0. */
function run(file: string, parameters: string[], environment: Record<string, string>, timeLimitMs = 60_000) {
  const path = fileURLToPath(new URL(`../../examples/${file}`, import.meta.url))
  return new Promise<Outcome>((resolve, reject) => {
    const child = spawn(process.execPath, [path, ...parameters], {
      env: { ...process.env, OBJECTRELAY_PASSWORD: password, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    const timer = setTimeout(() => child.kill('SIGTERM'), timeLimitMs)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      running.delete(child)
      resolve({ code, output })
    })
  })
}

async function freePort(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('The system gave no port.')
  return String(address.port)
}

describe('the examples', () => {
  it('search hyperparameters with four workers and lose no trial when one is killed', { timeout: 90_000 }, async () => {
    const report = join(folder, 'report.html')
    const settings = { DEMO_TRIALS: '12', DEMO_SECONDS: '30', DEMO_REPORT: report }
    const { code, output } = await run('demo/run.js', [], settings, 80_000)
    expect(output).toMatch(/Killed (worker-\d) \(SIGKILL\) while it holds trial \d+/)
    expect(output).toMatch(/Trial \d+ was given to worker-\d \(attempt 2\)/)
    expect(output).toMatch(/(\d+) of \1 trials came in, each once/)
    expect(code, output).toBe(0)
    const page = await readFile(report, 'utf8')
    expect(page).toContain('<svg')
    expect(page, 'the page loads nothing from elsewhere').not.toMatch(/(?:src|href)=|url\(|@import/)
  })

  it('hand tasks from one machine to another in the quick start', async () => {
    const port = await freePort()
    const [first, second] = await Promise.all([
      run('quick-start/machine-a.js', [port], {}, 30_000),
      run('quick-start/machine-b.js', [port], {}, 30_000),
    ])
    expect(first.output).toContain('Machine B found the mean of task 5')
    expect(second.output).toContain('Welcome, said machine A')
    expect(first.code, first.output).toBe(0)
    expect(second.code, second.output).toBe(0)
  })

  it('learn to balance a pole with actors that always play the newest weights', async () => {
    const { code, output } = await run('live-weights/run.js', [], {})
    expect(output).toMatch(/actor-3 skipped \d+ of \d+ versions/)
    expect(output).toMatch(/Mean return over 100 held-out episodes: (?:19[5-9]|200)/)
    expect(code, output).toBe(0)
  })

  it('lose nothing and do nothing twice while their own relay is killed', async () => {
    const { code, output } = await run('durable/run.js', [], {})
    expect(output).toMatch(/The relay was killed when it had accepted \d+ of 2000 tasks/)
    expect(output).toMatch(/The relay was killed when \d+ of 2000 tasks were done/)
    expect(output).toContain('2000 tasks were accepted, 2000 were done, and 0 of them twice.')
    expect(code, output).toBe(0)
  })

  it('check the certificate of the relay and refuse a wrong host name', async () => {
    const { code, output } = await run('custom-certificates/run.js', [], {}, 30_000)
    expect(output).toContain('A wrong host name is refused: CERTIFICATE_WRONG_HOST')
    expect(code, output).toBe(0)
  })
})
