import { spawn } from 'node:child_process'
import { accessSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { makeCertificate } from '../certificate.js'

const host = '127.0.0.1'
const startMs = 10_000
const stopMs = 5_000
/** Debian keeps servers here, which is not on every user's PATH. */
const moreFolders = ['/usr/sbin', '/usr/local/sbin']

/** @param {string} command */
function findProgram(command) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...moreFolders]
  return folders
    .map((folder) => join(folder, command))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/**
 * What a table says instead of figures; `undefined` if the program is there.
 * @param {string} command
 * @param {string} debianPackage
 */
export function missingServer(command, debianPackage) {
  return findProgram(command) === undefined ? `not installed (apt-get install ${debianPackage})` : undefined
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, host, () => {
      const bound = server.address()
      const port = bound === null || typeof bound === 'string' ? 0 : bound.port
      server.close(() => resolve(port))
    })
  })
}

/** @param {number} port */
function isListening(port) {
  return new Promise((resolve) => {
    const socket = connect({ port, host }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

/**
 * @typedef {object} ServerPlan
 * @property {string} command
 * @property {string[]} args
 * @property {string} [configuration] Written to the file that `args` name.
 */

/**
 * @typedef {object} ServerPlace
 * @property {string} folder Its own, gone when it ends.
 * @property {number} port
 * @property {{ key: string, certificate: string }} files
 * @property {string} configurationFile
 */

/**
 * Starts another system's server on a free port of loopback, in a folder of its own, with a certificate of its own.
 * @param {(place: ServerPlace) => ServerPlan} plan
 */
export async function startServer(plan) {
  const folder = mkdtempSync(join(tmpdir(), 'objectrelay-bench-'))
  const { key, certificate } = makeCertificate()
  const files = { key: join(folder, 'key.pem'), certificate: join(folder, 'certificate.pem') }
  writeFileSync(files.key, key, { mode: 0o600 })
  writeFileSync(files.certificate, certificate)
  const port = await freePort()
  const configurationFile = join(folder, 'server.conf')
  const { command, args, configuration = '' } = plan({ folder, port, files, configurationFile })
  writeFileSync(configurationFile, configuration)
  const logFile = join(folder, 'server.log')
  const log = openSync(logFile, 'w')
  const child = spawn(findProgram(command) ?? command, args, { cwd: folder, stdio: ['ignore', log, log] })
  let ended = false
  const exited = new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
    const end = () => {
      ended = true
      resolve()
    }
    child.on('exit', end)
    child.on('error', end)
  })
  const removeFolder = () => rmSync(folder, { recursive: true, force: true })
  // The harness ends this process when a run fails; the server must not outlive it.
  process.on('exit', () => {
    if (!ended) child.kill('SIGKILL')
    removeFolder()
  })
  const deadline = Date.now() + startMs
  while (!(await isListening(port))) {
    if (ended || Date.now() > deadline) {
      throw new Error(`${command} does not listen: ${readFileSync(logFile, 'utf8').slice(-1_000)}`)
    }
    await delay(20)
  }
  return {
    port,
    certificate,
    pid: child.pid,
    async stop() {
      child.kill('SIGTERM')
      await Promise.race([exited, delay(stopMs, undefined, { ref: false })])
      if (!ended) child.kill('SIGKILL')
      await exited
      removeFolder()
    },
  }
}
