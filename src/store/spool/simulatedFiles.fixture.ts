import type { Clock } from '../../clock.ts'
import type { BodyFile, BodyFiles } from './bodyFiles.ts'

/** What a file of the simulation can be told to do. */
export interface DiskFaults {
  /** How long each write and read takes. */
  delayMs: number
  /** What the next writes fail with. */
  writeError: Error | undefined
  readError: Error | undefined
  syncError?: Error | undefined
}

/** A write that was not synced. */
interface UnsyncedWrite {
  readonly name: string
  readonly offset: number
  readonly bytes: Buffer
}

/**
 * Files in memory, on a clock of the test's own. What was not synced is lost in a {@link SimulatedFiles.crash}; or some of it, in any
 * order, and torn.
 */
export class SimulatedFiles implements BodyFiles {
  readonly faults: DiskFaults = { delayMs: 1, writeError: undefined, readError: undefined }
  /** What is there. */
  readonly files: Map<string, Buffer> = new Map()
  /** What would be there after a crash. */
  readonly synced: Map<string, Buffer> = new Map()
  unsynced: UnsyncedWrite[] = []
  /** Called when a file was synced. */
  onSynced: () => void = () => undefined
  writes = 0
  reads = 0
  readonly #open = new Set<BodyFile>()
  /** Who has them; the next one begins where the one before has closed all files, or crashed. */
  #owner = 0
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async create(name: string): Promise<BodyFile> {
    await this.#waitToOpen()
    if (this.faults.writeError !== undefined) throw this.faults.writeError
    if (this.files.has(name)) throw new Error(`There is a file "${name}" already.`)
    this.files.set(name, Buffer.alloc(0))
    return this.#opened(name)
  }

  async open(name: string): Promise<BodyFile> {
    await this.#waitToOpen()
    if (!this.files.has(name)) throw new Error(`There is no file "${name}".`)
    return this.#opened(name)
  }

  async remove(name: string): Promise<void> {
    await this.wait()
    this.files.delete(name)
    this.synced.delete(name)
    this.unsynced = this.unsynced.filter((write) => write.name !== name)
  }

  list(): Promise<ReadonlyMap<string, number>> {
    return Promise.resolve(new Map([...this.files].map(([name, { length }]) => [name, length])))
  }

  /**
   * The machine stops: what was not synced is gone, but for the part of each write that `kept` tells: 1 all of it, less than 1 its
   * first part, and below 0 its last part.
   */
  crash(kept: () => number = () => 0): void {
    this.files.clear()
    for (const [name, bytes] of this.synced) this.files.set(name, Buffer.from(bytes))
    for (const write of this.unsynced) writePart(this.files, write, kept())
    for (const [name, bytes] of this.files) this.synced.set(name, Buffer.from(bytes))
    this.unsynced = []
    this.#open.clear()
    this.#owner++
  }

  /** How many are open. */
  get openFiles(): number {
    return this.#open.size
  }

  close(): Promise<void> {
    this.#open.clear()
    this.#owner++
    return Promise.resolve()
  }

  /** A file is closed. */
  closed(file: BodyFile): void {
    this.#open.delete(file)
  }

  /** Fails for a file that was closed. */
  check(file: BodyFile): void {
    if (!this.#open.has(file)) throw new Error('The file is closed.')
  }

  wait(): Promise<void> {
    return new Promise((resolve) => this.#clock.after(this.faults.delayMs, resolve))
  }

  async #waitToOpen(): Promise<void> {
    const owner = this.#owner
    await this.wait()
    if (owner !== this.#owner) throw new Error('Whoever opened the file has closed all of them.')
  }

  #opened(name: string): BodyFile {
    const file = new SimulatedFile(this, name)
    this.#open.add(file)
    return file
  }
}

class SimulatedFile implements BodyFile {
  readonly #disk: SimulatedFiles
  readonly #name: string
  /** Where it lies, and may grow. */
  #room: Buffer = Buffer.alloc(0)

  constructor(disk: SimulatedFiles, name: string) {
    this.#disk = disk
    this.#name = name
  }

  async write(offset: number, parts: readonly Buffer[]): Promise<void> {
    const { faults, files } = this.#disk
    this.#disk.check(this)
    this.#disk.writes++
    await this.#disk.wait()
    if (faults.writeError !== undefined) throw faults.writeError
    const before = files.get(this.#name) ?? Buffer.alloc(0)
    const end = Math.max(before.length, offset + parts.reduce((sum, part) => sum + part.length, 0))
    if (end > this.#room.length) {
      this.#room = Buffer.alloc(2 * end)
      before.copy(this.#room)
    }
    let at = offset
    for (const part of parts) at += part.copy(this.#room, at)
    this.#disk.unsynced.push({ name: this.#name, offset, bytes: Buffer.concat(parts) })
    files.set(this.#name, this.#room.subarray(0, end))
  }

  async read(offset: number, into: Buffer): Promise<void> {
    const { faults, files } = this.#disk
    this.#disk.check(this)
    this.#disk.reads++
    await this.#disk.wait()
    if (faults.readError !== undefined) throw faults.readError
    const bytes = files.get(this.#name) ?? Buffer.alloc(0)
    if (offset + into.length > bytes.length) throw new Error('The file ends before.')
    bytes.copy(into, 0, offset, offset + into.length)
  }

  /** What is written while it is under way is not safe with it. */
  async sync(): Promise<void> {
    const { faults, synced } = this.#disk
    const writes = new Set(this.#disk.unsynced.filter(({ name }) => name === this.#name))
    await this.#disk.wait()
    if (faults.syncError !== undefined) throw faults.syncError
    if (!synced.has(this.#name)) synced.set(this.#name, Buffer.alloc(0))
    for (const write of writes) writePart(synced, write, 1)
    this.#disk.unsynced = this.#disk.unsynced.filter((write) => !writes.has(write))
    this.#disk.onSynced()
  }

  close(): Promise<void> {
    this.#disk.closed(this)
    return Promise.resolve()
  }
}

/** A part of a write comes into a file: 1 all of it, less than 1 its first part, and below 0 its last part. */
function writePart(files: Map<string, Buffer>, { name, offset, bytes }: UnsyncedWrite, part: number): void {
  if (part === 0) return
  const from = part < 0 ? Math.floor(bytes.length * (1 + part)) : 0
  const to = part < 0 ? bytes.length : Math.ceil(bytes.length * Math.min(part, 1))
  const before = files.get(name) ?? Buffer.alloc(0)
  // What lies between was never written: it is read as zeros.
  const after = Buffer.alloc(Math.max(before.length, offset + to))
  before.copy(after)
  bytes.copy(after, offset + from, from, to)
  files.set(name, after)
}
