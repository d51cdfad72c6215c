import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type FuzzCounts, noCounts, total } from './counts.ts'
import { EndpointFuzz } from './endpointFuzz.ts'
import { FuzzFailure } from './failure.ts'
import { RelayFuzz } from './relayFuzz.ts'

const PEERS = 50
/** One relay in so many is one that many peers come to, one after another: nothing of them may stay. */
const LONG_RELAY_EVERY = 25
const LONG_RELAY_PEERS = 3_000
const MiB = 1024 * 1024

const { values } = parseArgs({
  options: { minutes: { type: 'string' }, seed: { type: 'string', default: '1' } },
})
const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
const firstSeed = Number(values.seed)
if (!Number.isSafeInteger(firstSeed) || (minutes !== undefined && !(minutes > 0))) {
  console.error('Usage: npm run fuzz -- [--seed 1] [--minutes 10]; without --minutes, one seed is replayed and told.')
  process.exit(2)
}

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

async function heapBytes(): Promise<number> {
  collectGarbage()
  // Memory of buffers is given back a moment later.
  await new Promise((resolve) => setTimeout(resolve, 20))
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

let failures = 0
let growthMaxBytes = Number.NEGATIVE_INFINITY
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (thrown: unknown) => {
    failures++
    console.error(`${event}: ${thrown instanceof Error ? thrown.stack : String(thrown)}`)
  })
}

async function attempt(name: string, seed: number, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (thrown) {
    failures++
    const isFound = thrown instanceof FuzzFailure
    console.error(
      `${name}, seed ${seed}: ${isFound ? thrown.message : thrown instanceof Error ? thrown.stack : thrown}`,
    )
  }
}

/** One relay for many peers: how much of them is kept once they are gone. */
async function longRelay(seed: number, counts: FuzzCounts): Promise<void> {
  let firstBytes: number | undefined
  const measure = async (keptBytes: number) => {
    const bytes = (await heapBytes()) - keptBytes
    firstBytes ??= bytes
    growthMaxBytes = Math.max(growthMaxBytes, bytes - firstBytes)
  }
  await attempt('relay', seed, () => RelayFuzz.run(seed, LONG_RELAY_PEERS, { counts, measure }))
}

const relays = noCounts()
const endpoints = noCounts()
const startMs = performance.now()
const heapBefore = await heapBytes()
let seed = firstSeed
if (minutes === undefined) {
  const note = (what: string) => console.log(what)
  await attempt('relay', seed, () => RelayFuzz.run(seed, PEERS, { counts: relays, note }))
  await attempt('endpoint', seed, () => EndpointFuzz.run(seed, PEERS, { counts: endpoints, note }))
} else {
  for (; performance.now() - startMs < minutes * 60_000; seed++) {
    if ((seed - firstSeed) % LONG_RELAY_EVERY === 1) await longRelay(seed, relays)
    else await attempt('relay', seed, () => RelayFuzz.run(seed, PEERS, { counts: relays }))
    await attempt('endpoint', seed, () => EndpointFuzz.run(seed, PEERS, { counts: endpoints }))
  }
}

const seconds = Math.round((performance.now() - startMs) / 1000)
console.log(`seeds ${firstSeed} to ${Math.max(firstSeed, seed - 1)} in ${seconds} s`)
for (const [name, counts] of [
  ['misbehaving endpoints', relays] as const,
  ['endpoints of misbehaving relays', endpoints] as const,
]) {
  const { peers, lies, refusals, exchanged, restarts, awaited } = counts
  console.log(
    `${name}: ${peers}; lies: ${total(lies)}; told: ${JSON.stringify(refusals)}; exchanged beside them: ${exchanged}; restarts: ${restarts}, after which claims were awaited: ${awaited}`,
  )
}
console.log(`heap before and after: ${(heapBefore / MiB).toFixed(1)} and ${((await heapBytes()) / MiB).toFixed(1)} MiB`)
if (Number.isFinite(growthMaxBytes))
  console.log(`most that one relay kept of ${LONG_RELAY_PEERS} peers: ${(growthMaxBytes / MiB).toFixed(1)} MiB`)
console.log(failures === 0 ? 'fuzz: passed' : `fuzz: ${failures} FAILED`)
process.exitCode = failures === 0 ? 0 : 1
