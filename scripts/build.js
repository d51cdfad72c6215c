// Compiles src/ to dist/ and makes the command line executable. What was built before stays in place until the new is
// whole, so that a program that runs from it meanwhile does not lose its files; and then goes altogether, so that no
// file of a renamed module can end in the package.
import { execFileSync } from 'node:child_process'
import { chmodSync, renameSync, rmSync } from 'node:fs'

const next = `dist.${process.pid}.next`
const old = `dist.${process.pid}.old`
const force = { recursive: true, force: true }
try {
  const compiler = 'node_modules/typescript/bin/tsc'
  execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', next], { stdio: 'inherit' })
  chmodSync(`${next}/cli/main.js`, 0o755)
  try {
    renameSync('dist', old)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  renameSync(next, 'dist')
} finally {
  rmSync(next, force)
  rmSync(old, force)
}
