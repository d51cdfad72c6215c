// Property tests with seeds that nobody has tried yet: `npm run properties -- --minutes 10 --seed 100` takes seeds from there
// on for so long, and ends with the first that fails. Names of test files after that restrict it to them.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const { values, positionals } = parseArgs({
  options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string', default: '2' } },
  allowPositionals: true,
})
const first = Number(values.seed)
const endMs = performance.now() + Number(values.minutes) * 60_000
if (!Number.isSafeInteger(first) || !(endMs > 0)) {
  console.error('Usage: npm run properties -- [--minutes 1] [--seed 2] [test file ...]')
  process.exit(2)
}

/** Files of tests that ask for properties, themselves or by a contract. */
function propertyTests(folder) {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(folder, name))
    .filter((path) => path.includes('.contract.') || readFileSync(join(root, path), 'utf8').includes('fc.assert('))
}

const files = positionals.length > 0 ? positionals : [...propertyTests('src'), ...propertyTests('test/properties')]
let seed = first
for (; seed === first || performance.now() < endMs; seed++) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'unit', '--reporter', 'dot', ...files],
    { cwd: root, encoding: 'utf8', env: { ...process.env, OBJECTRELAY_PROPERTY_SEED: String(seed) } },
  )
  if (status === 0) continue
  // What failed, and the counterexample, are told by the latter.
  console.log(stdout, stderr)
  console.log(`Again: OBJECTRELAY_PROPERTY_SEED=${seed} npx vitest run --project unit <file>`)
  process.exit(1)
}
console.log(`${files.length} files, seeds ${first} to ${seed - 1}: 0 failed.`)
