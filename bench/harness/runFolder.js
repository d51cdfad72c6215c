import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** @type {Set<string>} */
const folders = new Set()
process.on('exit', () => folders.forEach(removeRunFolder))

/** @param {string} folder */
export function removeRunFolder(folder) {
  folders.delete(folder)
  rmSync(folder, { recursive: true, force: true })
}

/** A fresh folder for all that one run leaves on disk; gone at the latest when this process ends. */
export function makeRunFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'objectrelay-bench-'))
  folders.add(folder)
  return folder
}
