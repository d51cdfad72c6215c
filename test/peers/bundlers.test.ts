import { existsSync, readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { repository } from '../package/codeBlocks.ts'
import { commonProgram, installPacked, moduleProgram, pack, runNpm } from '../package/packedProject.ts'
import { endAllPrograms, type Outcome, runProgram } from '../package/programs.ts'

/** The tools as their users have them; kept for the next time. */
const tools = { esbuild: '0.28.2', vite: '8.3.8', jest: '30.5.2' }
const cache = join(repository, '.cache', `bundlers-${Object.values(tools).join('-')}`)

/** Besides sending an object to itself, proves a verifier, which a third thread does, blocks its thread, and keeps an object on the disk. */
const threeThreads = `
async function more() {
  const { createPasswordVerifier, fileStore, ObjectRelayError } = objectrelay
  const password = 'seven lamps under a green bridge'
  const passwordVerifier = await createPasswordVerifier(password)
  const relay = await Relay.start({ host: '127.0.0.1', port: 0, passwordVerifier })
  const endpoint = await Endpoint.connect({ host: '127.0.0.1', port: relay.port, password, groups: 'g' })
  await endpoint.broadcast('blocked', 'g')
  deepStrictEqual(endpoint.popSync({ blocking: true, timeoutMs: 10_000 }), ['blocked'])
  const wrong = { host: '127.0.0.1', port: relay.port, password: 'eight lamps under a green bridge' }
  const refusal = await Endpoint.connect(wrong).catch((error) => error)
  deepStrictEqual([refusal instanceof ObjectRelayError, refusal.name, refusal.code], [true, 'AuthenticationError', 'WRONG_PASSWORD'])
  await endpoint.stop()
  await relay.stop()
  const store = fileStore({ dir: await mkdtemp(join(tmpdir(), 'objectrelay-bundle-')) })
  const durable = await Relay.start({ host: '127.0.0.1', port: 0, password, store })
  const producer = await Endpoint.connect({ host: '127.0.0.1', port: durable.port, password })
  await producer.produce(1, 'g')
  await producer.stop()
  deepStrictEqual((await durable.stop()).undelivered.g.waiting, 1)
  console.log('The others, too.')
}
`
const moduleSource = `import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as objectrelay from 'objectrelay'\n${threeThreads}\n${moduleProgram}\nawait more()\n`
const commonSource = `const { mkdtemp } = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const objectrelay = require('objectrelay')\n${threeThreads}\n${commonProgram.replace('\nmain()', '\nmain().then(more)')}\n`

const jestSource = `import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as objectrelay from 'objectrelay'
import { deepStrictEqual } from 'node:assert'
import { expect, test } from '@jest/globals'
const { Endpoint, Relay } = objectrelay
${threeThreads}
${moduleProgram.slice(moduleProgram.indexOf('async function main()')).replace('await main()', '')}
test('an object arrives', async () => {
  await main()
  await more()
  expect(new objectrelay.ObjectRelayError('INVALID_OPTION', 'x')).toBeInstanceOf(Error)
}, 30_000)
`
const jestCommonSource = `const objectrelay = require('objectrelay')
test('never', () => objectrelay)
`

let folder: string
let project: string

async function run(
  command: string,
  parameters: readonly string[],
  options: { folder?: string; environment?: Record<string, string> } = {},
): Promise<Outcome> {
  const environment = { XDG_DATA_HOME: join(folder, 'data'), TMPDIR: folder, ...options.environment }
  return await runProgram(process.execPath, [command, ...parameters], {
    folder: options.folder ?? project,
    environment,
    timeLimitMs: 100_000,
  })
}

/** Runs a tool in the project; it must succeed. */
async function tool(path: string, parameters: readonly string[]): Promise<string> {
  const { code, output } = await run(join(cache, 'node_modules', path), parameters)
  expect(code, output).toBe(0)
  return output
}

/** A bundle in a folder where there is nothing else, as it would be deployed. */
async function runAlone(...path: readonly string[]): Promise<Outcome> {
  const alone = await mkdtemp(join(folder, 'alone-'))
  const from = join(project, ...path)
  if ((await stat(from)).isDirectory()) await cp(from, alone, { recursive: true })
  else await cp(from, join(alone, path.at(-1) ?? ''))
  const name = (await stat(from)).isDirectory() ? 'program.mjs' : (path.at(-1) ?? '')
  return await run(name, [], { folder: alone })
}

function expectArrived({ code, output }: Outcome): void {
  expect(output).toBe('The object arrived.\nThe others, too.\n')
  expect(code).toBe(0)
}

beforeAll(async () => {
  if (!existsSync(join(cache, 'node_modules', 'jest'))) {
    await mkdir(cache, { recursive: true })
    await writeFile(join(cache, 'package.json'), JSON.stringify({ private: true, dependencies: tools }))
    const { code, output } = await runNpm(
      ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts'],
      cache,
    )
    if (code !== 0) throw new Error(`The bundlers could not be installed:\n${output}`)
  }
  folder = await realpath(await mkdtemp(join(tmpdir(), 'objectrelay-bundles-')))
  project = join(folder, 'project')
  const { filename } = await pack(folder)
  await installPacked(project, join(folder, filename))
  await writeFile(join(project, 'program.mjs'), moduleSource)
  await writeFile(join(project, 'program.cjs'), commonSource)
  // CommonJS has no await outside of functions.
  await writeFile(
    join(project, 'function.mjs'),
    moduleSource.replace('await main()', 'main().then(more)').replace('await more()', ''),
  )
})
afterEach(endAllPrograms)
afterAll(() => rm(folder, { recursive: true, force: true }))

const page = readFileSync(join(repository, 'docs', 'bundling.md'), 'utf8')

describe('docs/bundling.md', () => {
  const commands = [...page.matchAll(/^npx esbuild (.*)$/gm)].map(([, parameters = '']) => parameters.split(' '))

  it('shows how esbuild makes one file that runs alone', async () => {
    expect(commands).toHaveLength(3)
    for (const parameters of commands) {
      await tool('esbuild/bin/esbuild', parameters)
      const out = parameters.find((parameter) => parameter.startsWith('--outfile='))?.slice('--outfile='.length) ?? ''
      const isOutside = parameters.includes('--packages=external')
      expectArrived(isOutside ? await run(out, []) : await runAlone(out))
    }
  })

  it('shows how Vite does', async () => {
    const [, config = ''] = /^```js\n(.*?)^```/ms.exec(page) ?? []
    await writeFile(join(project, 'documented.config.mjs'), config)
    await tool('vite/bin/vite.js', ['build', '--config', 'documented.config.mjs', '--logLevel', 'warn'])
    expectArrived(await runAlone('out-vite'))
  })
})

describe('esbuild', () => {
  const bundle = (source: string, format: string, out: string, ...more: readonly string[]): Promise<string> =>
    tool('esbuild/bin/esbuild', [
      source,
      '--bundle',
      '--platform=node',
      `--format=${format}`,
      `--outfile=${out}`,
      '--log-level=warning',
      ...more,
    ])

  it.each([
    ['a module that is minified', 'program.mjs', 'esm', 'out/minified.mjs', '--minify'],
    ['CommonJS', 'program.cjs', 'cjs', 'out/common.cjs'],
  ])('makes one file of a program, %s, that runs alone', async (_, source, format, out, ...more) => {
    expect(await bundle(source, format, out, ...more)).toBe('')
    expectArrived(await runAlone(out))
  })
})

describe('vite', () => {
  it('builds a library for Node.js that runs alone', async () => {
    const config = `export default {
      logLevel: 'warn',
      build: {
        outDir: 'vite-library',
        target: 'node20',
        lib: { entry: 'program.mjs', formats: ['es'], fileName: 'program' },
        rollupOptions: { external: [/^node:/] },
      },
    }`
    await writeFile(join(project, 'library.config.mjs'), config)
    await tool('vite/bin/vite.js', ['build', '--config', 'library.config.mjs'])
    expectArrived(await runAlone('vite-library'))
  })
})

describe('jest', () => {
  const jest = (name: string, environment: Record<string, string>): Promise<Outcome> =>
    run(
      join(cache, 'node_modules', 'jest', 'bin', 'jest.js'),
      ['--rootDir', join(project, name), '--config', '{"transform":{}}'],
      { environment },
    )

  it('runs tests that are modules', async () => {
    await mkdir(join(project, 'modules'))
    await writeFile(join(project, 'modules', 'package.json'), '{"type":"module"}')
    await writeFile(join(project, 'modules', 'relay.test.js'), jestSource)
    const { code, output } = await jest('modules', { NODE_OPTIONS: '--experimental-vm-modules' })
    expect(output).toContain('Tests:       1 passed, 1 total')
    expect(code).toBe(0)
  })

  it('cannot load the package into tests that are not, and the error says what to do', async () => {
    await mkdir(join(project, 'common'))
    await writeFile(join(project, 'common', 'relay.test.js'), jestCommonSource)
    const { code, output } = await jest('common', {})
    expect(output).toMatch(/objectrelay is an ES module.*In jest, run node with --experimental-vm-modules/)
    expect(code).toBe(1)
  })
})
