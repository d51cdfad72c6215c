import { tmpdir } from 'node:os'
import { afterAll } from 'vitest'
import { openFilesIn } from './openFiles.ts'
import { eventually } from './waiting.ts'

/**
 * Each file of tests must close the files that it opened, as what it tests must: one that the garbage collector closes is
 * reported by Node.js, from version 26 on as an error that ends the process. Here it is an error with all versions.
 */
const collected: string[] = []
process.on('warning', ({ message }) => {
  if (/on garbage collection/.test(message)) collected.push(message)
})
const before = new Set(openFilesIn(tmpdir()))

afterAll(async () => {
  // Closing a file takes a moment, and whoever is stopped need not wait for it.
  const left = () => openFilesIn(tmpdir()).filter((path) => !before.has(path))
  await eventually(left, ({ length }) => length === 0, 5_000)
  if (collected.length > 0) throw new Error(`A file was closed by nobody: ${collected.join(' ')}`)
})
