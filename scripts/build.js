// Compiles src/ to dist/ and makes the command line executable. What was built before stays in place until the new is
// whole, so that a program that runs from it meanwhile does not lose its files; and then goes altogether, so that no
// file of a renamed module can end in the package.
//
// For programs that are bundled into one file, the threads of the library are there once more as a text (src/threads.ts):
// threadEntry.js with all that it needs becomes the constant of threadCode.js, and goes.
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { rolldown } from 'rolldown'

/** Removes the declarations that `index.d.ts` does not lead to: nobody can use them, and they are much of the package. */
function removeInternalDeclarations(folder) {
  const needed = new Set()
  const waiting = [join(folder, 'index.d.ts')]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (needed.has(path)) continue
    needed.add(path)
    for (const [, name] of readFileSync(path, 'utf8').matchAll(/(?:from |import\(|import )'(\.[^']*)\.ts'/g)) {
      waiting.push(join(dirname(path), `${name}.d.ts`))
    }
  }
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name)
    if (name.endsWith('.d.ts') && !needed.has(path)) rmSync(path)
  }
}

const next = `dist.${process.pid}.next`
const old = `dist.${process.pid}.old`
const force = { recursive: true, force: true }
try {
  const compiler = 'node_modules/typescript/bin/tsc'
  execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', next], { stdio: 'inherit' })
  chmodSync(`${next}/cli/main.js`, 0o755)
  copyFileSync('src/index.cjs', `${next}/index.cjs`)
  const bundle = await rolldown({
    input: `${next}/threadEntry.js`,
    platform: 'node',
    external: /^node:/,
  })
  const { output } = await bundle.generate({ format: 'esm', minify: true, codeSplitting: false })
  await bundle.close()
  writeFileSync(`${next}/threadCode.js`, `export const threadCode = ${JSON.stringify(output[0].code)}\n`)
  rmSync(`${next}/threadEntry.js`)
  removeInternalDeclarations(next)
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
