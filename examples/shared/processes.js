import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

/**
 * Starting and ending the programs of an example. Nothing here carries data: the programs talk through the relay only.
 *
 * @typedef {object} Program
 * @property {string} name
 * @property {Promise<{ code: number | null, signal: NodeJS.Signals | null }>} ended How it ended.
 * @property {(signal?: NodeJS.Signals) => void} kill
 */

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set()

// Whatever ends this process, its programs end too.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))

/**
 * Starts one program of the example with the same Node.js.
 *
 * @param {string} name
 * @param {URL} file
 * @param {string[]} parameters
 * @param {Record<string, string>} environment What it gets besides the environment of this process.
 * @returns {Program}
 */
export function startProgram(name, file, parameters, environment) {
  const child = spawn(process.execPath, [fileURLToPath(file), ...parameters], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  running.add(child)
  const ended = once(child, 'exit').then(([code, signal]) => {
    running.delete(child)
    return { code, signal }
  })
  return { name, ended, kill: (signal = 'SIGTERM') => void child.kill(signal) }
}

/**
 * A port of the loopback interface that was free a moment ago. A program of one's own would have a fixed port.
 *
 * @returns {Promise<number>}
 */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('The system gave no port.')
  return address.port
}

/** The user's password, or one for this run only. */
export function password() {
  return process.env.OBJECTRELAY_PASSWORD ?? randomBytes(24).toString('base64url')
}
