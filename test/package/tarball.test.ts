import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { AGENT } from '../../src/agent.ts'
import { repository } from './codeBlocks.ts'
import {
  commonProgram,
  durableProgram,
  installedPackages,
  installPacked,
  moduleProgram,
  type PackedPackage,
  pack,
  runNpm,
  typedDurableProgram,
  typedProgram,
} from './packedProject.ts'
import { endAllPrograms, type Outcome, runProgram } from './programs.ts'

let folder: string
let project: string
let packed: PackedPackage
const installed = (path: string) => join(project, 'node_modules', 'objectrelay', path)

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'objectrelay-tarball-')))
  project = join(folder, 'project')
  packed = await pack(folder)
  await installPacked(project, join(folder, packed.filename))
}, 120_000)
afterEach(endAllPrograms)
afterAll(() => rm(folder, { recursive: true, force: true }))

async function run(name: string, program: string): Promise<Outcome> {
  await writeFile(join(project, name), program)
  const environment = { XDG_DATA_HOME: join(folder, 'data') }
  return await runProgram(process.execPath, [name], { folder: project, environment })
}

/** A package that this repository has, as if it were installed there. */
async function link(name: string): Promise<void> {
  const path = join(project, 'node_modules', name)
  await mkdir(dirname(path), { recursive: true })
  await rm(path, { force: true })
  await symlink(join(repository, 'node_modules', name), path, 'junction')
}

/** Compiles a program in TypeScript as users do who check everything. */
async function compile(name: string, program: string): Promise<void> {
  for (const types of ['@types/node', 'undici-types']) await link(types)
  await writeFile(join(project, `${name}.mts`), program)
  const tsc = join(repository, 'node_modules/typescript/bin/tsc')
  const flags = '--strict --skipLibCheck false --module nodenext --target es2022 --types node --outDir .'.split(' ')
  const outcome = await runProgram(process.execPath, [tsc, ...flags, `${name}.mts`], { folder: project })
  expect(outcome).toEqual({ code: 0, output: '' })
}

describe('the package', () => {
  it('holds what was built and what is to be read, and nothing else', () => {
    const expected =
      /^(dist\/(index\.cjs|.*\.(js|d\.ts))|docs\/[\w-]+(\/[\w-]+\.svg|\.md)|[A-Z]+\.md|LICENSE|package\.json)$/
    const paths = packed.files.map(({ path }) => path)
    expect(paths.filter((path) => !expected.test(path) || /\.(test|fixture|contract)\./.test(path))).toEqual([])
    for (const path of [
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
      'dist/index.js',
      'dist/index.d.ts',
      'dist/cli/main.js',
    ]) {
      expect(paths).toContain(path)
    }
    // Declarations of what nobody can import are of no use.
    expect(paths.filter((path) => path.endsWith('.d.ts')).length).toBeLessThan(70)
    expect(paths).not.toContain('dist/wire/reliableChannel.d.ts')
  })

  it('is small', () => {
    expect(packed.size).toBeLessThan(950_000)
    expect(packed.unpackedSize).toBeLessThan(3_000_000)
  })

  it('says nothing of the machine that it was built on', async () => {
    const registry = (await runNpm(['config', 'get', 'registry', '--loglevel=silent'], folder)).output.trim()
    const { host } = new URL(registry)
    const secrets = [repository, `${homedir()}/`, host]
    for (const { path } of packed.files) {
      const text = await readFile(installed(path), 'latin1')
      // Not the text itself in the report, which may be kept where it does not belong.
      for (const [index, secret] of secrets.entries())
        expect(text.includes(secret), `${path}: text ${index}`).toBe(false)
    }
  })

  it('runs nothing when it is installed, and needs few packages', async () => {
    const { scripts, dependencies } = JSON.parse(await readFile(installed('package.json'), 'utf8'))
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) expect(scripts).not.toHaveProperty(name)
    const expected = ['@serenity-kit/opaque', '@standard-schema/spec', 'commander', 'env-paths']
    expect(Object.keys(dependencies).sort()).toEqual(expected)
    expect((await installedPackages(project)).sort()).toEqual([...expected, 'is-safe-filename', 'objectrelay'].sort())
  })

  it('calls itself to its peers by the version that it has', async () => {
    const { name, version } = JSON.parse(await readFile(installed('package.json'), 'utf8'))
    expect(AGENT).toBe(`${name}/${version}`)
    expect(await readFile(`${repository}CHANGELOG.md`, 'utf8')).toContain(`\n## ${version}\n`)
  })
})

describe('an empty project with the package', () => {
  it('sends an object as an ES module', async () => {
    const { code, output } = await run('program.mjs', moduleProgram)
    expect(output).toContain('The object arrived.')
    expect(code).toBe(0)
  })

  it('sends an object by require()', async () => {
    const { code, output } = await run('program.cjs', commonProgram)
    expect(output).toContain('The object arrived.')
    expect(code).toBe(0)
  })

  it('sends an object in strict TypeScript that checks all declarations', async () => {
    await compile('program', typedProgram)
    const { code, output } = await run('program.mjs', await readFile(join(project, 'program.mjs'), 'utf8'))
    expect(output).toContain('The object arrived.')
    expect(code).toBe(0)
  })

  it.each([
    // Without types of Node.js, and with no more of JavaScript than the target has.
    ...['typescript', 'typescript-6', 'typescript-5.9', 'typescript-5.4'].map((compiler) => {
      return { compiler, lib: ['es2020'], skipLibCheck: false }
    }),
    // As most projects are: with the types of a browser, and without a look into declarations.
    { compiler: 'typescript', lib: undefined, skipLibCheck: true },
  ])('has types that $compiler understands with lib: $lib, skipLibCheck: $skipLibCheck', async (given) => {
    const { compiler, lib, skipLibCheck } = given
    const where = await mkdtemp(join(project, 'types-'))
    const program = await readFile(join(repository, 'test/package/types.ts'), 'utf8')
    await writeFile(join(where, 'types.mts'), program)
    await writeFile(join(where, 'mistaken.mts'), `${program}\nis<string>()(1)\n`)
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: 'es2020',
      module: 'nodenext',
      types: [],
      lib,
      skipLibCheck,
    }
    await writeFile(join(where, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
    const tsc = join(repository, 'node_modules', compiler, 'bin/tsc')
    const { output } = await runProgram(process.execPath, [tsc, '-p', where, '--pretty', 'false'], {
      folder: where,
      timeLimitMs: 50_000,
    })
    expect(output.trim().split('\n')).toEqual([expect.stringMatching(/^mistaken\.mts\(\d+,\d+\): error TS2554: /)])
  })

  it('has the command objectrelay', async () => {
    const { code, output } = await runNpm(['exec', '--offline', '--', 'objectrelay', '--help'], project)
    expect(output).toMatch(/Usage: objectrelay/)
    expect(code).toBe(0)
  })
})

describe('an empty project with the package and its durable store', () => {
  it('keeps an object over the end of its relay, as an ES module', async () => {
    const { code, output } = await run('durable-plain.mjs', durableProgram)
    expect(output).toContain('The object outlived the relay.')
    expect(code).toBe(0)
  })

  it('keeps an object over the end of its relay, in strict TypeScript that checks all declarations', async () => {
    await compile('durable', typedDurableProgram)
    const { code, output } = await run('durable.mjs', await readFile(join(project, 'durable.mjs'), 'utf8'))
    expect(output).toContain('The object outlived the relay.')
    expect(code).toBe(0)
  })
})
