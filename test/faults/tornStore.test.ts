import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const COUNT = Number(process.env.TORN_COPIES ?? 120)
const SILENT_MS = 20_000
const kinds = ['truncate', 'flip', 'flipEarly', 'zero', 'swap', 'flipHeader'] as const
const seed = Number(process.env.TORN_SEED ?? Date.now() % 1_000_000)

type Damage = readonly [kind: string, first: number, second: number, file: number]
type Order =
  | { readonly make: string }
  | { readonly from: string; readonly dir: string; readonly damages: readonly Damage[] }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'torn-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function randomDamages(count: number): readonly Damage[] {
  let state = seed
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  return Array.from({ length: count }, (_, index) => [
    kinds[index % kinds.length] ?? 'flip',
    random(),
    random(),
    random(),
  ])
}

/** The states that a process of its own tells, which must not be silent for long; and how it ended. */
async function statesOf(order: Order): Promise<{ states: readonly string[]; end: string }> {
  const states: string[] = []
  const child = fork(new URL('./support/tornStoreRole.js', import.meta.url), { stdio: 'ignore' })
  const restless = (): NodeJS.Timeout => setTimeout(() => child.kill('SIGKILL'), SILENT_MS)
  let silence = restless()
  child.on('message', ({ state }: { state: string }) => {
    clearTimeout(silence)
    silence = restless()
    states.push(state)
  })
  child.send(order)
  const [code, signal] = await once(child, 'exit')
  clearTimeout(silence)
  return { states, end: `ended with ${signal ?? code}` }
}

/** What became of each damaged copy; a process that ends or hangs is an outcome too, and the next one goes on. */
async function outcomes(from: string, damages: readonly Damage[]): Promise<readonly string[]> {
  const all: string[] = []
  while (all.length < damages.length) {
    const { states, end } = await statesOf({ from, dir: join(folder, 'copy'), damages: damages.slice(all.length) })
    all.push(...states)
    if (all.length < damages.length) all.push(end)
  }
  return all
}

describe('a store of which a file was torn', () => {
  it(`is what it was, or is refused with a typed error, wherever it was torn (TORN_SEED=${seed})`, async () => {
    const from = join(folder, 'whole')
    const made = await statesOf({ make: from })
    const whole = made.states[0] ?? made.end
    expect(whole).toMatch(/^\d\d\d /)
    const damages = randomDamages(COUNT)
    const states = await outcomes(from, damages)
    const allowed = new Set([whole, 'STORE_CORRUPT', 'STORE_VERSION'])
    const wrong = states.flatMap((state, index) => (allowed.has(state) ? [] : [`${damages[index]}: ${state}`]))
    expect(wrong).toEqual([])
    expect(states.filter((state) => state !== whole).length).toBeGreaterThan(COUNT / 2)
  })
})
