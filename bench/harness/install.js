import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const benchFolder = fileURLToPath(new URL('..', import.meta.url))

/** Installs what the drivers need, once; the library itself depends on none of it. */
export function installDependencies() {
  if (existsSync(new URL('../node_modules/msgpackr/package.json', import.meta.url))) return
  process.stderr.write('installing what the benchmark needs (npm ci in bench/)\n')
  // npm is a shell script on Windows, which only a shell starts.
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: benchFolder,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  })
  if (status !== 0) throw new Error('npm ci in bench/ failed; run it there by hand to see why')
}
