import { createHash } from 'node:crypto'
import { closeSync, openSync, realpathSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
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
export class FolderLock {
  readonly #server: Server
  readonly #address: Address

  /**
   * Claims a folder for as long as this process lives, or until {@link FolderLock.release}. Resolves to `undefined` if somebody else
   * has it, in another process or in this one; rejects with what the operating system says. `visited` is given the sockets of those that
   * connect; default: they are closed.
   */
  static async claim(folder: string, name: string, visited: Visited = hangUp): Promise<FolderLock | undefined> {
    try {
      return await FolderLock.#claimAt(addressIn(folder, name), visited)
    } catch (thrown) {
      if (!isUnsupported(thrown)) throw thrown
      return await FolderLock.#claimAt(addressOutside(folder, name), visited)
    }
  }

  static async #claimAt(address: Address, visited: Visited): Promise<FolderLock | undefined> {
    let lock: FolderLock | undefined
    try {
      const server = await claimSocket(address.path, visited)
      if (server !== undefined) lock = new FolderLock(server, address)
      return lock
    } finally {
      if (lock === undefined) address.close()
    }
  }

  /** Whether somebody has claimed it; changes nothing. */
  static async isClaimed(folder: string, name: string): Promise<boolean> {
    for (const address of [addressIn(folder, name), addressOutside(folder, name)]) {
      const isClaimed = await answers(address.path)
      address.close()
      if (isClaimed) return true
    }
    return false
  }

  /** Connects to whoever has claimed it; resolves to `undefined` if nobody has. */
  static async visit(folder: string, name: string): Promise<Socket | undefined> {
    for (const address of [addressIn(folder, name), addressOutside(folder, name)]) {
      const socket = connect({ path: address.path })
      const isThere = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true))
        socket.once('error', () => resolve(false))
      })
      address.close()
      if (isThere) return socket
      socket.destroy()
    }
    return undefined
  }

  private constructor(server: Server, address: Address) {
    this.#server = server
    this.#address = address
  }

  async release(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#address.close()
  }
}

type Visited = (socket: Socket) => void

function hangUp(socket: Socket): void {
  socket.destroy()
}

/** Where a socket is; the path is valid until it is closed. */
interface Address {
  readonly path: string
  readonly close: () => void
}

/**
 * Whoever sees the folder sees what is in it. Where its path is too long for a socket, Linux takes a short one through the open
 * folder.
 */
function addressIn(folder: string, name: string): Address {
  const path = join(realpathSync(folder), name)
  if (process.platform === 'win32') return addressOutside(folder, name)
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return { path, close: () => undefined }
  if (process.platform !== 'linux') return addressOutside(folder, name)
  const descriptor = openSync(folder, 'r')
  return { path: `/proc/self/fd/${descriptor}/${name}`, close: () => closeSync(descriptor) }
}

/** Where it lies if it cannot be in the folder. */
function addressOutside(folder: string, name: string): Address {
  const hash = createHash('sha256')
    .update(join(realpathSync(folder), name))
    .digest('hex')
    .slice(0, 32)
  const path = process.platform === 'win32' ? `\\\\.\\pipe\\objectrelay-${hash}` : join(tmpdir(), `objectrelay-${hash}`)
  return { path, close: () => undefined }
}

async function claimSocket(path: string, visited: Visited): Promise<Server | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const server = await listenAt(path, visited)
    if (server !== undefined) return server
    if (await answers(path)) return undefined
    removeLeftover(path)
  }
  return undefined
}

/** Resolves to `undefined` if there is something of that name already, alive or left behind. */
function listenAt(path: string, visited: Visited): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer(visited)
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
