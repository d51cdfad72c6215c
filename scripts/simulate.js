// Compiles the sources with the simulation of test/simulation and runs it: `npm run simulate -- --seed 17` replays one
// seed with its transcript, `--seeds 100` runs as many from there on and tells which fail.
import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
// Below node_modules, so that imports of packages find them.
const out = `${root}node_modules/.cache/objectrelay-simulation`
execFileSync(
  process.execPath,
  [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}test/simulation/tsconfig.json`, '--outDir', out],
  { stdio: 'inherit' },
)
const { status } = spawnSync(process.execPath, [`${out}/test/simulation/main.js`, ...process.argv.slice(2)], {
  stdio: 'inherit',
})
process.exitCode = status ?? 1
