import { readdirSync, readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const src = fileURLToPath(new URL('.', import.meta.url))

/** What the entities of the core may import of it: containers, numbers and types, and nothing of what is decided with them. */
const entitiesMayImport = ['counts', 'deque', 'groupName', 'heap', 'leaseTable', 'ports', 'tombstoneQueue']

const importPattern = /\b(?:from|import)\s*\(?\s*'(\.[^']+)'/g

/** What each file imports, types included: the linter looks at values only. */
function readImports(): ReadonlyMap<string, readonly string[]> {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !/\.(test|fixture|contract)\.ts$/.test(name),
  )
  const importsOf = (file: string) =>
    [...readFileSync(`${src}${file}`, 'utf8').matchAll(importPattern)].map(([, path = '']) =>
      relative(src, resolve(src, dirname(file), path)),
    )
  return new Map(files.map((file) => [file, importsOf(file)]))
}

/** A circle of imports for each file that is in one: from the file back to itself, by the shortest way. */
function findCycles(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = []
  for (const start of imports.keys()) {
    const cameFrom = new Map<string, string>()
    const waiting = [start]
    for (let file = waiting.shift(); file !== undefined && !cameFrom.has(start); file = waiting.shift()) {
      for (const imported of imports.get(file) ?? []) {
        if (cameFrom.has(imported)) continue
        cameFrom.set(imported, file)
        waiting.push(imported)
      }
    }
    let file = cameFrom.get(start)
    if (file === undefined) continue
    const cycle = [start]
    for (; file !== undefined && file !== start; file = cameFrom.get(file)) cycle.unshift(file)
    found.push([start, ...cycle])
  }
  return found
}

describe('The files of src/', () => {
  it('import each other in no circle, types included', () => {
    const imports = readImports()
    expect(imports.get('index.ts')).toContain('endpoint/program/endpointClass.ts')
    const cycles = findCycles(imports)
    expect(cycles.map((cycle) => cycle.join(' -> '))).toEqual([])
  })

  it('keep the entities of the core apart from what is decided with them', () => {
    const entities = [...readImports()].filter(([file]) => file.startsWith('core/entities/'))
    expect(entities.length).toBeGreaterThan(2)
    const imported = new Set(entities.flatMap(([, files]) => files))
    for (const name of entitiesMayImport) imported.delete(`core/${name}.ts`)
    expect([...imported].filter((file) => !file.startsWith('core/entities/'))).toEqual([])
  })

  it('would be found in one', () => {
    const imports = { a: ['b', 'd'], b: ['c'], c: ['a'], d: ['d'], e: ['a'] }
    expect(findCycles(new Map(Object.entries(imports)))).toEqual([
      ['a', 'b', 'c', 'a'],
      ['b', 'c', 'a', 'b'],
      ['c', 'a', 'b', 'c'],
      ['d', 'd'],
    ])
  })
})
