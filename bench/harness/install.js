import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const benchFolder = new URL('../', import.meta.url)

function hasAllDependencies() {
  const { dependencies } = JSON.parse(readFileSync(new URL('package.json', benchFolder), 'utf8'))
  const folderOf = (/** @type {string} */ name) => new URL(`node_modules/${name}/package.json`, benchFolder)
  return Object.keys(dependencies).every((name) => existsSync(folderOf(name)))
}

/** Installs what the drivers need, once; the library itself depends on none of it. */
export function installDependencies() {
  if (hasAllDependencies()) return
  process.stderr.write('installing what the benchmark needs (npm ci in bench/)\n')
  // npm is a shell script on Windows, which only a shell starts.
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: fileURLToPath(benchFolder),
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  })
  if (status !== 0) throw new Error('npm ci in bench/ failed; run it there by hand to see why')
}
