import type { BodyFile, BodyFiles } from './bodyFiles.ts'

/** The file of one body: made when it is first written, and open only while somebody uses it or may soon. */
export class BodyFileUse {
  /** Whether it stays open between uses. */
  #staysOpen = true
  readonly #files: BodyFiles
  readonly #name: string
  #exists: boolean
  #file: Promise<BodyFile> | undefined
  #uses = 0
  #isRemoved = false

  constructor(files: BodyFiles, name: string, exists: boolean) {
    this.#files = files
    this.#name = name
    this.#exists = exists
  }

  /** Does something with the file. */
  async use<Result>(action: (file: BodyFile) => Promise<Result>): Promise<Result> {
    this.#uses++
    try {
      return await action(await this.#open())
    } finally {
      this.#uses--
      this.#closeIfUnused()
    }
  }

  set staysOpen(staysOpen: boolean) {
    this.#staysOpen = staysOpen
    this.#closeIfUnused()
  }

  /** It is needed no more: it is removed when its present uses are over. */
  remove(): void {
    this.#isRemoved = true
    this.#closeIfUnused()
  }

  async #open(): Promise<BodyFile> {
    this.#file ??= this.#exists ? this.#files.open(this.#name) : this.#files.create(this.#name)
    try {
      const file = await this.#file
      this.#exists = true
      return file
    } catch (cause) {
      this.#file = undefined
      throw cause
    }
  }

  #closeIfUnused(): void {
    if (this.#uses > 0 || (this.#staysOpen && !this.#isRemoved)) return
    const exists = this.#exists
    if (this.#isRemoved) this.#exists = false
    const file = this.#file
    this.#file = undefined
    void this.#close(file, this.#isRemoved && exists)
  }

  async #close(file: Promise<BodyFile> | undefined, andRemove: boolean): Promise<void> {
    try {
      await (await file)?.close()
      if (andRemove) await this.#files.remove(this.#name)
    } catch {
      // Nobody waits for it. A file that stays is found, and removed, when its store is opened again.
    }
  }
}
