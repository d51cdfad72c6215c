// Endpoints and relays that misbehave, by grammar: `npm run fuzz -- --minutes 10 --seed 1` tries seeds from there on for so
// long, and `npm run fuzz -- --seed 17` replays one and tells what happens in it.
import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
// Below node_modules, so that imports of packages find them.
const out = `${root}node_modules/.cache/objectrelay-fuzz`
execFileSync(
  process.execPath,
  [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}test/fuzz/tsconfig.json`, '--outDir', out],
  { stdio: 'inherit' },
)
const { status } = spawnSync(process.execPath, [`${out}/test/fuzz/main.js`, ...process.argv.slice(2)], {
  stdio: 'inherit',
})
process.exitCode = status ?? 1
