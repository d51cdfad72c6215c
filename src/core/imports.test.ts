import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const folder = dirname(fileURLToPath(import.meta.url))
const entitiesMayImport = ['counts', 'deque', 'groupName', 'heap', 'leaseTable', 'ports', 'tombstoneQueue']

/** What each file of the core imports of it, types included, by path without the ending. */
function readImports(): Map<string, string[]> {
  const imports = new Map<string, string[]>()
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!/(?<!\.test|\.fixture)\.ts$/.test(path)) continue
    const text = readFileSync(join(folder, path), 'utf8')
    const targets = [...text.matchAll(/^(?:import|export|\}).*? from '(\..*)\.ts'$/gm)]
    const inCore = targets.map(([, target = '']) => normalize(join(dirname(path), target)).replaceAll('\\', '/'))
    imports.set(
      path.replaceAll('\\', '/').slice(0, -3),
      inCore.filter((target) => !target.startsWith('..')),
    )
  }
  return imports
}

/** A file that imports itself in the end, with what is between; `undefined` if there is none. */
function findCycle(imports: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const finished = new Set<string>()
  function visit(file: string, path: readonly string[]): string[] | undefined {
    const start = path.indexOf(file)
    if (start >= 0) return [...path.slice(start), file]
    if (finished.has(file)) return undefined
    for (const target of imports.get(file) ?? []) {
      const cycle = visit(target, [...path, file])
      if (cycle !== undefined) return cycle
    }
    finished.add(file)
    return undefined
  }
  for (const file of imports.keys()) {
    const cycle = visit(file, [])
    if (cycle !== undefined) return cycle
  }
  return undefined
}

test('a cycle of imports is found', () => {
  const imports = new Map([
    ['a', ['b']],
    ['b', ['c', 'd']],
    ['d', ['b']],
  ])
  expect(findCycle(imports)).toEqual(['b', 'd', 'b'])
})

test('no files of the core import each other in a cycle, types included', () => {
  const imports = readImports()
  expect(imports.get('broker')).toContain('core')
  expect(imports.get('core')).toContain('entities/model')
  expect(findCycle(imports)?.join(' → ')).toBe(undefined)
})

test('the entities import nothing of what is decided with them', () => {
  const targets = [...readImports()].flatMap(([file, imported]) => (file.startsWith('entities/') ? imported : []))
  const others = targets.filter((target) => !target.startsWith('entities/') && !entitiesMayImport.includes(target))
  expect(others).toEqual([])
})
