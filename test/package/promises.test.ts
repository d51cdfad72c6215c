import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { repository } from './codeBlocks.ts'

interface NamedTest {
  readonly file: string
  readonly title: string
}

interface Section {
  readonly heading: string
  readonly tests: readonly NamedTest[]
}

/** The promises of the document, each with the tests that its table names. */
function readSections(): Section[] {
  const parts = readFileSync(`${repository}docs/promises.md`, 'utf8').split(/^## /m).slice(1)
  return parts.map((part) => {
    const [heading = ''] = part.split('\n')
    const rows = [...part.matchAll(/^\| `([\w./]+\.(?:test|contract)\.ts)` \| (.+) \|$/gm)]
    return { heading, tests: rows.map(([, file = '', title = '']) => ({ file, title })) }
  })
}

describe('docs/promises.md', () => {
  const sections = readSections()
  const promises = sections.filter(({ heading }) => /^\d+ /.test(heading))

  it('has all nine promises, in order, and lists them at its beginning', () => {
    expect(promises.map(({ heading }) => Number.parseInt(heading, 10))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
    const document = readFileSync(`${repository}docs/promises.md`, 'utf8')
    for (let number = 1; number <= 9; number++) expect(document).toContain(`\n| [${number}](#${number}-`)
  })

  it.each(promises)('names tests for "$heading"', ({ tests }) => {
    expect(tests.length).toBeGreaterThan(2)
  })

  it.each(promises.flatMap(({ tests }) => tests))('names a test that there is: $file, $title', ({ file, title }) => {
    // Where a title is made of parts, the document has the words as they stand in the file.
    expect(readFileSync(`${repository}${file}`, 'utf8')).toContain(title)
  })

  it('has a figure for each long run, or says that it is pending', () => {
    const runs = sections.find(({ heading }) => heading === 'The last long runs')
    expect(runs, 'the heading').toBeDefined()
    const document = readFileSync(`${repository}docs/promises.md`, 'utf8')
    const rows = [
      ...document.slice(document.indexOf('## The last long runs')).matchAll(/^\| (.+) \| (.+) \| (.+) \|$/gm),
    ]
    for (const name of ['storm', 'soak', 'simulation', 'fuzz'])
      expect(
        rows.some(([, run = '', , result = '']) => run.startsWith(name) && result.length > 5),
        name,
      ).toBe(true)
  })
})
