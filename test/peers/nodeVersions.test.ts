import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { repository } from '../package/codeBlocks.ts'
import { commonProgram, installPacked, moduleProgram, pack } from '../package/packedProject.ts'
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

let folder: string
let project: string

/** Where another version of Node.js is, which is installed on first use. */
async function nodeBinary(version: string): Promise<string> {
  const script = join(repository, 'scripts', 'nodeBinary.js')
  const { code, output } = await runProgram(process.execPath, [script, version], {
    folder: repository,
    timeLimitMs: 110_000,
  })
  if (code !== 0) throw new Error(output)
  return output.trim()
}

// npm has newer versions of Node.js for this system only.
describe.runIf(process.platform === 'linux' && process.arch === 'x64')('the packed package', () => {
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

  it.each(['22', '24', '26'])(
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
