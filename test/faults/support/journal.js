import { openSync, writeSync } from 'node:fs'

/** Lines that are with the operating system once `write` returned, so that they outlive a `kill -9` of this process. */
export class Journal {
  #file

  constructor(path) {
    this.#file = openSync(path, 'a')
  }

  write(...words) {
    writeSync(this.#file, `${words.join(' ')}\n`)
  }

  writeAll(lines) {
    if (lines.length > 0) writeSync(this.#file, `${lines.join('\n')}\n`)
  }
}
