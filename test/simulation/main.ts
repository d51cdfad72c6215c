import { parseArgs } from 'node:util'
import { simulate } from './simulation.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '20' },
  },
})
const seconds = Number(values.seconds)
const first = Number(values.seed ?? 1)
const count = Number(values.seeds)
if (![seconds, first, count].every((value) => Number.isFinite(value) && value >= 0)) {
  console.error('Usage: npm run simulate -- [--seed 1] [--seeds 1] [--seconds 20]')
  process.exit(2)
}

const startMs = performance.now()
let simulatedMs = 0
let failed = 0
for (let seed = first; seed < first + count; seed++) {
  // One seed is replayed for a reader; of many, only what goes wrong is of interest.
  const result = await simulate(seed, seconds, count === 1 ? (line) => console.log(line) : undefined)
  simulatedMs += result.simulatedMs
  if (result.problem !== undefined) {
    failed++
    if (count > 1) console.log(`seed ${seed}: ${result.problem.message.slice(0, 600)}`)
    process.exitCode = 1
  }
}
const wallSeconds = (performance.now() - startMs) / 1000
console.log(
  `${count} seeds, ${Math.round(simulatedMs / 1000)} simulated seconds in ${wallSeconds.toFixed(1)} s; ${failed} failed.`,
)
