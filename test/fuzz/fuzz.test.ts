import { describe, expect, it } from 'vitest'
import { noCounts, total } from './counts.ts'
import { EndpointFuzz } from './endpointFuzz.ts'
import { liarLies } from './liarLies.ts'
import { lies } from './peerLies.ts'
import { RelayFuzz } from './relayFuzz.ts'

/** Each is a relay with 50 peers, or a process with 50 endpoints; `npm run fuzz -- --seed N` replays one. */
const relaySeeds = Array.from({ length: 40 }, (_, index) => index + 1)
const endpointSeeds = Array.from({ length: 20 }, (_, index) => index + 1)
const PEERS = 50

/** Tells which seed it was. */
async function withSeed(seed: number, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (cause) {
    throw new Error(`seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

describe('Authenticated endpoints that misbehave', () => {
  it('are refused with a typed error or tolerated, and nobody else notices', { timeout: 120_000 }, async () => {
    const counts = noCounts()
    for (const seed of relaySeeds) await withSeed(seed, () => RelayFuzz.run(seed, PEERS, { counts }))
    expect(counts.peers).toBe(relaySeeds.length * PEERS)
    expect(Object.keys(counts.lies).sort(), 'every lie was told').toEqual(Object.keys(lies).sort())
    expect(total(counts.refusals)).toBeGreaterThan(counts.peers)
    expect(counts.exchanged).toBeGreaterThan(1_000)
    expect(counts.restarts).toBeGreaterThan(50)
    expect(counts.awaited).toBeGreaterThan(50)
  })
})

describe('A relay that misbehaves', () => {
  it('ends its endpoints with a typed error, and no others of the process', { timeout: 120_000 }, async () => {
    const counts = noCounts()
    for (const seed of endpointSeeds) await withSeed(seed, () => EndpointFuzz.run(seed, PEERS, { counts }))
    expect(Object.keys(counts.lies).sort(), 'every lie was told').toEqual(Object.keys(liarLies).sort())
    expect(total(counts.refusals)).toBeGreaterThan(counts.peers / 3)
    expect(counts.exchanged).toBe(counts.peers * 3)
    expect(counts.taken).toBeGreaterThan(100)
    expect(counts.awaited).toBeGreaterThan(50)
    expect(counts.claims).toBeGreaterThan(10)
  })
})
