import { beforeAll, describe, expect, it } from 'vitest'
import { EndpointProof, type EndpointStep } from './endpointProof.ts'
import { finishLoginElsewhere, registerPasswordElsewhere } from './loginWorker.ts'
import {
  answerLogin,
  finishLogin,
  lightStretching,
  loadPasswordProof,
  registerPassword,
  startLogin,
} from './passwordLogin.ts'
import { binding } from './proofExchange.fixture.ts'
import { loginResponse, type ProofMessage } from './proofMessages.ts'
import { StretchingBudget } from './stretchingBudget.ts'

const password = 'correct horse battery'
const verifier = { memoryKiB: 64 * 1024, iterations: 3, parallelism: 4 }
const worst = { memoryKiB: 256 * 1024, iterations: 4, parallelism: 4 }

beforeAll(() => loadPasswordProof())

/** Something that answers as the relay, does not know the password, and asks for stretching. */
function demand(stretching: typeof worst, budget: StretchingBudget): EndpointStep {
  const proof = new EndpointProof({ password, channelBinding: binding(1), budget })
  const start: ProofMessage = proof.start()
  const record = registerPassword('another', lightStretching)
  return proof.receive(loginResponse(stretching, answerLogin(record, start.body).ke2))
}

function codeOf({ outcome }: EndpointStep): string {
  return outcome !== undefined && 'refused' in outcome ? outcome.refused.code : 'none'
}

describe('password stretching for whatever answers', () => {
  it('is left to somebody else when it is heavy, and done at once when it is light', () => {
    const budget = new StretchingBudget(() => 0)
    const heavy = demand(verifier, budget)
    expect(heavy.compute?.stretching).toEqual(verifier)
    expect(heavy.send).toBeUndefined()
    expect(codeOf(demand(lightStretching, budget))).toBe('WRONG_PASSWORD')
    for (let count = 0; count < 20; count++) budget.spend(verifier)
    const refused = demand(verifier, budget)
    expect([codeOf(refused), refused.compute]).toEqual(['TOO_MANY_ATTEMPTS', undefined])
  })

  it.each([
    ['a verifier file asks for', verifier, 20],
    ['is the most that is allowed', worst, 3],
  ] as const)(
    'of what %s is done so often at once, and ten times as much as a verifier file in each minute',
    (_, asked, atOnce) => {
      let nowMs = 0
      const budget = new StretchingBudget(() => nowMs)
      let computed = 0
      const attempt = () => {
        if (budget.spend(asked) === undefined) computed++
      }
      for (let count = 0; count < 40; count++) attempt()
      expect(computed).toBe(atOnce)
      for (; nowMs < 60 * 60_000; nowMs += 5_000) attempt()
      const units = (asked.memoryKiB * asked.iterations) / (verifier.memoryKiB * verifier.iterations)
      expect(computed * units).toBeLessThanOrEqual(20 + 60 * 10)
    },
  )

  it('says how long the next attempt has to wait, which is bounded', () => {
    const budget = new StretchingBudget(() => 0)
    for (let count = 0; count < 20; count++) expect(budget.spend(verifier)).toBeUndefined()
    expect(budget.spend(verifier)).toMatchObject({
      code: 'TOO_MANY_ATTEMPTS',
      retryable: true,
      details: { waitMs: 6_000 },
    })
    expect(budget.spend(worst)).toMatchObject({ details: { waitMs: 32_000 } })
  })

  it('costs nothing in the end where the relay proves the password', () => {
    const budget = new StretchingBudget(() => 0)
    for (let login = 0; login < 1_000; login++) {
      expect(budget.spend(verifier)).toBeUndefined()
      budget.giveBack(verifier)
    }
  })

  it('is refused beyond five times what a verifier file asks for, before anything is computed', () => {
    const step = demand({ memoryKiB: 256 * 1024, iterations: 5, parallelism: 4 }, new StretchingBudget(() => 0))
    expect([codeOf(step), step.compute]).toEqual(['PROTOCOL_VIOLATION', undefined])
  })

  it('that is computed too late, when the relay has given up, changes nothing', () => {
    const budget = new StretchingBudget(() => 0)
    const proof = new EndpointProof({ password, channelBinding: binding(1), budget })
    const record = registerPassword(password, lightStretching)
    const ke2 = answerLogin(record, proof.start().body).ke2
    const { compute } = proof.receive(loginResponse({ ...verifier, memoryKiB: 16 * 1024, iterations: 1 }, ke2))
    if (compute === undefined) throw new Error('It was light')
    expect(codeOf(proof.receive({ type: 2, body: new Uint8Array(328) }))).toBe('PROTOCOL_VIOLATION')
    expect(proof.computed(finishLogin(compute))).toEqual({})
  })

  it('gives the same in a thread of its own', async () => {
    const record = await registerPasswordElsewhere(password, lightStretching)
    const { state, ke1 } = startLogin(password)
    const { ke2 } = answerLogin(record, ke1)
    const computation = { password, state, stretching: lightStretching, ke2 }
    expect(await finishLoginElsewhere(computation)).toEqual(finishLogin(computation))
    expect(await finishLoginElsewhere({ ...computation, password: 'another' })).toBeUndefined()
    await expect(finishLoginElsewhere({ ...computation, ke2: new Uint8Array(320) })).rejects.toMatchObject({
      code: 'PROTOCOL_VIOLATION',
    })
  })
})
