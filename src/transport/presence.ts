import { createHash } from 'node:crypto'
import { closeSync, openSync, realpathSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The longest path of a socket that every system takes. */
const SOCKET_PATH_BYTES_MAX = 100
const PROBE_MS = 1_000
const ATTEMPTS_MAX = 5
/** What is said of a socket in a file system that has none, as some that containers share with their host. */
const UNSUPPORTED_CODES: ReadonlySet<unknown> = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EPERM', 'EINVAL', 'ENOSYS'])

/**
 * Says that somebody is here, in a way that ends with the process, however it ends: a socket that listens. The operating system
 * closes it; no number of a process is remembered, which another may have got since, and containers that share a folder see it
 * all the same. A file that is left of it is not in the way of the next.
 */
export class Presence {
  readonly #server: Server

  /**
   * Claims a folder for as long as this process lives, or until {@link Presence.release}. Resolves to `undefined` if somebody else
   * has it, in another process or in this one; rejects with what the operating system says.
   */
  static async claim(folder: string, name: string): Promise<Presence | undefined> {
    try {
      return await inFolder(folder, name, claimAt)
    } catch (thrown) {
      if (!isUnsupported(thrown)) throw thrown
      return await claimAt(outside(folder, name))
    }
  }

  /** Whether somebody has claimed it; changes nothing. */
  static async isClaimed(folder: string, name: string): Promise<boolean> {
    return (await inFolder(folder, name, answers)) || (await answers(outside(folder, name)))
  }

  constructor(server: Server) {
    this.#server = server
  }

  async release(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}

/**
 * Whoever sees the folder sees what is in it. Where its path is too long for a socket, Linux takes a short one through the open
 * folder.
 */
async function inFolder<Result>(folder: string, name: string, use: (path: string) => Promise<Result>): Promise<Result> {
  const path = join(realpathSync(folder), name)
  if (process.platform === 'win32') return await use(outside(folder, name))
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return await use(path)
  if (process.platform !== 'linux') return await use(outside(folder, name))
  const descriptor = openSync(folder, 'r')
  try {
    return await use(`/proc/self/fd/${descriptor}/${name}`)
  } finally {
    closeSync(descriptor)
  }
}

/** Where it lies if it cannot be in the folder. */
function outside(folder: string, name: string): string {
  const hash = createHash('sha256')
    .update(join(realpathSync(folder), name))
    .digest('hex')
    .slice(0, 32)
  return process.platform === 'win32' ? `\\\\.\\pipe\\objectrelay-${hash}` : join(tmpdir(), `objectrelay-${hash}`)
}

async function claimAt(path: string): Promise<Presence | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const server = await listenAt(path)
    if (server !== undefined) return new Presence(server)
    if (await answers(path)) return undefined
    removeLeftover(path)
  }
  return undefined
}

/** Resolves to `undefined` if there is something of that name already, alive or left behind. */
function listenAt(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen({ path, exclusive: true }, () => {
      server.removeAllListeners('error')
      // It waits for nobody: a failure of one who looks in is no matter.
      server.on('error', () => undefined)
      server.unref()
      resolve(server)
    })
  })
}

/** Whether somebody listens there. Who is too busy to answer is there; so is who may not be asked. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    const end = (isThere: boolean): void => {
      socket.destroy()
      resolve(isThere)
    }
    socket.setTimeout(PROBE_MS, () => end(true))
    socket.once('connect', () => end(true))
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      end(code !== 'ECONNREFUSED' && code !== 'ENOENT' && code !== 'ENOTSOCK')
    })
  })
}

function removeLeftover(path: string): void {
  try {
    unlinkSync(path)
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT')) throw thrown
  }
}

function isUnsupported(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && UNSUPPORTED_CODES.has(thrown.code)
}
