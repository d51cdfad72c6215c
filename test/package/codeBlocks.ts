import { readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

export const repository: string = fileURLToPath(new URL('../../', import.meta.url))

/**
 * How a block of code in a document is checked. Directly above it may stand an HTML comment, which a reader does not see:
 *
 * - `<!-- run: beside the next -->`: the program is started, goes on while the next block runs, and is then asked to end;
 * - `<!-- not run: why -->`: the block is no program of its own.
 *
 * A block of `js` or `ts` without a comment is a program that must end by itself with success. Where it says
 * `console.log(...) // some text`, that text must be a line of its output.
 */
export type Treatment = { kind: 'run' } | { kind: 'beside' } | { kind: 'skipped'; why: string }

/** A fenced block of a document. */
export interface CodeBlock {
  /** The document, from the root of the repository. */
  document: string
  /** The line of the fence. */
  line: number
  language: string
  code: string
  treatment: Treatment
}

/** All documents whose code is checked. */
export async function documentNames(): Promise<string[]> {
  const below = async (folder: string) => {
    const names = await readdir(`${repository}${folder}`)
    return names.filter((name) => name.endsWith('.md')).map((name) => `${folder}${name}`)
  }
  return [...(await below('')), ...(await below('docs/')), 'examples/README.md'].sort()
}

/** The code blocks of a document in their order. Throws when a fence is not closed or a comment says nothing known. */
export function readCodeBlocks(document: string): CodeBlock[] {
  const lines = readFileSync(`${repository}${document}`, 'utf8').split('\n')
  const blocks: CodeBlock[] = []
  for (let index = 0; index < lines.length; index += 1) {
    const opening = /^( *)(`{3,})(\S*)/.exec(lines[index] ?? '')
    if (opening === null) continue
    const [, indent = '', fence = '', language = ''] = opening
    const end = lines.indexOf(`${indent}${fence}`, index + 1)
    if (end === -1) throw new Error(`The block in ${document}, line ${index + 1}, is not closed.`)
    const code = lines.slice(index + 1, end).map((line) => line.slice(indent.length))
    const treatment = readTreatment(lines.slice(0, index), `${document}, line ${index + 1}`)
    blocks.push({ document, line: index + 1, language, code: `${code.join('\n')}\n`, treatment })
    index = end
  }
  return blocks
}

function readTreatment(linesAbove: readonly string[], where: string): Treatment {
  const above = linesAbove.findLast((line) => line.trim() !== '')?.trim() ?? ''
  const comment = /^<!-- ((?:not )?run): (.*) -->$/.exec(above)
  if (comment === null) return { kind: 'run' }
  const [, word, text = ''] = comment
  if (word === 'not run') return { kind: 'skipped', why: text }
  if (text === 'beside the next') return { kind: 'beside' }
  throw new Error(`The comment above ${where} says "run: ${text}"; known is "run: beside the next".`)
}
