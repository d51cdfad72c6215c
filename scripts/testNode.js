// The tests with other versions of Node.js: `npm run test:node -- 22 24 26`, or `-- 26 src/store` for some of them. What was
// built before is what they run.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodeBinary } from './nodeBinary.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const given = process.argv.slice(2)
const versions = given.filter((argument) => /^\d+$/.test(argument))
const others = given.filter((argument) => !/^\d+$/.test(argument))
if (versions.length === 0) {
  console.error('Usage: npm run test:node -- <major version> ... [arguments of vitest]')
  process.exit(2)
}
const projects = others.includes('--project') ? [] : ['--project', 'unit', '--project', 'system']

let failed = 0
for (const version of versions) {
  let binary
  try {
    binary = nodeBinary(version)
  } catch (error) {
    console.error(error.message)
    failed++
    continue
  }
  console.log(`Node.js ${version}: ${binary}`)
  // What the tests start by the name `node` is the same version.
  const environment = { ...process.env, PATH: `${dirname(binary)}:${process.env.PATH}` }
  const vitest = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...projects, ...others]
  const { status } = spawnSync(binary, vitest, { cwd: root, env: environment, stdio: 'inherit' })
  if (status !== 0) failed++
}
process.exitCode = failed === 0 ? 0 : 1
