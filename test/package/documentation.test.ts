import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type CodeBlock, documentNames, readCodeBlocks, repository } from './codeBlocks.ts'
import { endAllPrograms, freePort, type Outcome, type RunningProgram, runProgram, startProgram } from './programs.ts'

const documents = await documentNames()
const blocks = documents.flatMap(readCodeBlocks)
const programs = blocks.filter(({ language, treatment }) => isProgram(language) && treatment.kind !== 'skipped')
let folder: string

function isProgram(language: string): boolean {
  return language === 'ts' || language === 'js'
}

const placeOf = ({ document, line }: CodeBlock) => `${document}, line ${line}`
const fileOf = ({ document, line, language }: CodeBlock) =>
  `${document.replaceAll(/[^A-Za-z]+/g, '-')}-${line}.${language}`

/** Writes all programs into one folder and compiles those in TypeScript, with the checks that users have. */
async function compilePrograms(): Promise<Outcome> {
  await mkdir(join(folder, 'node_modules'))
  await symlink(repository, join(folder, 'node_modules', 'objectrelay'), 'junction')
  for (const name of ['@types', 'zod']) {
    await symlink(join(repository, 'node_modules', name), join(folder, 'node_modules', name), 'junction')
  }
  const compilerOptions = {
    target: 'ES2022',
    lib: ['ES2023', 'ESNext.Disposable'],
    module: 'NodeNext',
    types: ['node'],
    strict: true,
    skipLibCheck: true,
    rootDir: 'source',
    outDir: 'compiled',
  }
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['source/*.ts'] }))
  for (const name of ['source', 'compiled']) await mkdir(join(folder, name))
  for (const block of programs) {
    await writeFile(join(folder, block.language === 'ts' ? 'source' : 'compiled', fileOf(block)), block.code)
  }
  return await runProgram(process.execPath, [join(repository, 'node_modules/typescript/bin/tsc'), '-p', '.'], {
    folder,
  })
}

/** Starts the program of a block; every group of programs that run together gets a port and a password of its own. */
async function start(
  block: CodeBlock,
  { port, password }: { port: number; password: string },
): Promise<RunningProgram> {
  const name = fileOf(block).replace(/\.ts$/, '.js')
  const work = await mkdtemp(join(folder, 'run-'))
  // The documents say 3000, where another program may listen.
  const code = readFileSync(join(folder, 'compiled', name), 'utf8').replaceAll(/\b3000\b/g, String(port))
  await writeFile(join(work, name), code)
  await writeFile(join(work, 'package.json'), JSON.stringify({ type: 'module' }))
  return startProgram(process.execPath, [name], {
    folder: work,
    environment: { OBJECTRELAY_PASSWORD: password, RELAY_HOST: '127.0.0.1', XDG_DATA_HOME: join(folder, 'data') },
  })
}

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'objectrelay-documentation-')))
})
afterEach(endAllPrograms)
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('the programs in the documentation', () => {
  beforeAll(async () => {
    const { code, output } = await compilePrograms()
    expect(output).toBe('')
    expect(code).toBe(0)
  })

  let companions: CodeBlock[] = []
  for (const block of programs) {
    companions.push(block)
    if (block.treatment.kind === 'beside') continue
    const together = companions
    companions = []
    it(`run: ${together.map(placeOf).join('; ')}`, async () => {
      const shared = { port: await freePort(), password: randomBytes(18).toString('base64url') }
      const others = await Promise.all(together.slice(0, -1).map((companion) => start(companion, shared)))
      const { code, output } = await (await start(block, shared)).outcome
      for (const other of others) other.end()
      const outputs = await Promise.all(others.map(async ({ outcome }) => (await outcome).output))
      expect(code, [output, ...outputs].join('\n---\n')).toBe(0)
      for (const line of promisedLines(block)) expect(output.split('\n'), output).toContain(line)
      // A program that was to go on, and failed, says so.
      expect(outputs.join('')).not.toMatch(/^\s+at .*:\d+:\d+\)?$/m)
    })
  }

  it('are followed by the program that they run beside', () => {
    expect(companions.map(placeOf)).toEqual([])
  })
})

describe('the documentation', () => {
  const known = ['ts', 'js', 'sh', 'json', 'text', '']

  // A program for a peer, or bytes: tests of their own take these out of the document, and name it for that.
  const checkedElsewhere = ['python', 'frame', 'transcript', 'vector']
  let testsAround: string

  beforeAll(async () => {
    testsAround = await readAllTests()
  })

  it('has no block of code that is neither checked nor marked with a reason', () => {
    const unchecked = blocks
      .filter(({ language, treatment }) => !known.includes(language) && treatment.kind !== 'skipped')
      .filter(({ language, document }) => !checkedElsewhere.includes(language) || !testsAround.includes(document))
    expect(unchecked.map(placeOf)).toEqual([])
    expect(blocks.filter(({ treatment }) => treatment.kind === 'skipped' && treatment.why.length < 10)).toEqual([])
  })

  it('names files that there are', () => {
    const named = readFileSync(`${repository}ARCHITECTURE.md`, 'utf8').matchAll(/`([\w/.]+\/\w[\w.]*\.(?:ts|md|js))`/g)
    const missing = [...named]
      .map(([, path = '']) => path)
      .filter((path) => !existsSync(`${repository}src/${path}`) && !existsSync(`${repository}${path}`))
    expect(missing).toEqual([])
  })

  it('has JSON that can be read', () => {
    for (const block of blocks.filter(({ language }) => language === 'json')) {
      expect(() => JSON.parse(block.code), placeOf(block)).not.toThrow()
    }
  })

  it('runs scripts by npm that there are', () => {
    const { scripts } = JSON.parse(readFileSync(`${repository}package.json`, 'utf8'))
    for (const block of blocks.filter(({ language }) => language === 'sh')) {
      for (const [, name = ''] of block.code.matchAll(/\bnpm run ([\w:]+)/g))
        expect(scripts, placeOf(block)).toHaveProperty(name)
    }
  })

  it.each(documents)('has links in %s that lead somewhere', (document) => {
    const text = readFileSync(`${repository}${document}`, 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? `${repository}${document}` : join(repository, dirname(document), path)
      expect(existsSync(file), `${document} links to ${target}`).toBe(true)
      if (anchor !== undefined) expect(anchorsOf(file), `${document} links to ${target}`).toContain(anchor)
    }
  })
})

/** What a program prints according to its comments: `console.log(...) // this line`. */
function promisedLines({ code }: CodeBlock): string[] {
  return [...code.matchAll(/console\.log\(.*\/\/ (.+)$/gm)].map(([, line = '']) => line)
}

/** The text of all tests but those of this folder. */
async function readAllTests(): Promise<string> {
  const folders = ['src/', 'test/']
  const paths = await Promise.all(
    folders.map(async (name) =>
      (await readdir(`${repository}${name}`, { recursive: true })).map((path) => name + path),
    ),
  )
  const tests = paths.flat().filter((path) => path.endsWith('.test.ts') && !path.startsWith(join('test', 'package')))
  return (await Promise.all(tests.map((path) => readFile(`${repository}${path}`, 'utf8')))).join('\n')
}

/** The names of a document's headings in links, as the usual web sites for code make them. */
function anchorsOf(file: string): string[] {
  const headings = readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
