import type { BodyFile, BodyFiles } from '../spool/bodyFiles.ts'

/** Bodies of which is known how much room they take on the disk. */
export class CountedBodies implements BodyFiles {
  readonly #files: BodyFiles
  readonly #sizes = new Map<string, number>()
  #bytes = 0

  constructor(files: BodyFiles) {
    this.#files = files
  }

  /** Of all of them, as soon as {@link CountedBodies.list} was called once. */
  get bytes(): number {
    return this.#bytes
  }

  async create(name: string): Promise<BodyFile> {
    const file = await this.#files.create(name)
    this.#setSize(name, 0)
    return new CountedFile(file, (end) => this.#grow(name, end))
  }

  open(name: string): Promise<BodyFile> {
    return this.#files.open(name)
  }

  async remove(name: string): Promise<void> {
    await this.#files.remove(name)
    this.#bytes -= this.#sizes.get(name) ?? 0
    this.#sizes.delete(name)
  }

  async list(): Promise<ReadonlyMap<string, number>> {
    const sizes = await this.#files.list()
    for (const [name, bytes] of sizes) this.#setSize(name, bytes)
    return sizes
  }

  close(): Promise<void> {
    return this.#files.close()
  }

  #grow(name: string, end: number): void {
    const bytes = this.#sizes.get(name)
    if (bytes !== undefined && end > bytes) this.#setSize(name, end)
  }

  #setSize(name: string, bytes: number): void {
    this.#bytes += bytes - (this.#sizes.get(name) ?? 0)
    this.#sizes.set(name, bytes)
  }
}

class CountedFile implements BodyFile {
  readonly #file: BodyFile
  readonly #grow: (end: number) => void

  constructor(file: BodyFile, grow: (end: number) => void) {
    this.#file = file
    this.#grow = grow
  }

  async write(offset: number, parts: readonly Buffer[]): Promise<void> {
    await this.#file.write(offset, parts)
    this.#grow(parts.reduce((end, part) => end + part.length, offset))
  }

  read(offset: number, into: Buffer): Promise<void> {
    return this.#file.read(offset, into)
  }

  sync(): Promise<void> {
    return this.#file.sync()
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}
