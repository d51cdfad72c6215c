import { readdirSync, readFileSync } from 'node:fs'
import { errorCatalogue, Relay } from 'objectrelay'
import { describe, expect, it } from 'vitest'
import { OutputFolder } from '../../src/cli/outputFolder.ts'
import { useDataFolder } from '../support/folders.ts'
import { repository } from './codeBlocks.ts'

useDataFolder()

/** The text of all files of some kind below a folder. */
function textBelow(folder: string, isWanted: (path: string) => boolean): string {
  const paths = readdirSync(`${repository}${folder}`, { recursive: true }).map(String).filter(isWanted)
  return paths.map((path) => readFileSync(`${repository}${folder}/${path}`, 'utf8')).join('\n')
}

describe('Every code of the catalogue', () => {
  const isTest = (path: string) => /\.(test|contract)\.ts$/.test(path)
  const program = textBelow('src', (path) => /\.ts$/.test(path) && !/\.(test|fixture)\.ts$|^errors\.ts$/.test(path))
  const tests = textBelow('src', isTest) + textBelow('test', isTest)

  it.each(Object.keys(errorCatalogue))('%s is raised somewhere, and some test asks for it', (code) => {
    expect(program).toContain(`'${code}'`)
    expect(tests).toMatch(new RegExp(`\\b${code}\\b`))
  })
})

describe('What is seldom seen', () => {
  it('a relay cannot listen at an address that this machine does not have: CANNOT_LISTEN', async () => {
    // Next to the loopback address, and nobody has it.
    const start = Relay.start({ host: '::2', port: 0, password: 'seven lamps under a green bridge' })
    await expect(start).rejects.toMatchObject({ code: 'CANNOT_LISTEN', category: 'misuse', retryable: false })
  })

  it('a folder for files cannot be where a file is: FILE_UNWRITABLE', async () => {
    const path = `${repository}package.json/objects`
    await expect(OutputFolder.open(path, { overwrite: false })).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' })
  })
})
