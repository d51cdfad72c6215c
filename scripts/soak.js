// Mixed load with random faults on real processes: npm run soak -- --minutes 10 --seed 1
import { parseArgs } from 'node:util'
import { createViteServer } from 'vitest/node'

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: String(Date.now() % 1e6) } },
})
const minutes = Number(values.minutes)
const seed = Number(values.seed)
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  console.error('--minutes must be a number above 0, and --seed a whole number.')
  process.exit(2)
}

// The run itself is TypeScript, like the fault tests whose processes it uses.
const server = await createViteServer({
  configFile: false,
  server: { middlewareMode: true, watch: null, ws: false },
  appType: 'custom',
})
let passed = false
try {
  const { soak } = await server.ssrLoadModule('/test/faults/support/soak/soak.ts')
  passed = await soak({ minutes, seed })
} finally {
  await server.close()
}
console.log(passed ? 'soak: passed' : 'soak: FAILED')
process.exitCode = passed ? 0 : 1
