import { describe, expect, it } from 'vitest'
import { type SimulationResult, simulate } from './simulation.ts'

/** Each ends with some hundred quiet seconds, in which everything must come to rest. */
const SECONDS = 15
const SEEDS = 12

function explain({ seed, problem, tail }: SimulationResult): string {
  return `${tail}\n\nnpm run simulate -- --seed ${seed} --seconds ${SECONDS}\n${problem?.message}`
}

describe('The whole system on a network that cuts, freezes and delays', { timeout: 120_000 }, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    it(`keeps its promises, seed ${seed}`, async () => {
      const result = await simulate(seed, SECONDS)
      if (result.problem !== undefined) expect.fail(explain(result))
      expect(result.objects).toBeGreaterThan(0)
    })
  }

  it('does the same again for the same seed', async () => {
    const [first, second, other] = [await simulate(3, 5), await simulate(3, 5), await simulate(4, 5)]
    expect(second.digest).toBe(first.digest)
    expect(other.digest).not.toBe(first.digest)
  })
})
