import { createError } from '../errors.ts'
import { checkNames, isRecord } from '../options.ts'
import { readSmallFile } from './boundedFile.ts'
import type { Config } from './settings.ts'

const configBytesMax = 1_048_576

/** Options of the library that only a config file can give, and those about the password. */
const passwordNames = ['password', 'passwordFile']

/** Reads a config file: a JSON object with the names of the library's options. `names` are those that the command knows. */
export async function readConfig(path: string, names: readonly string[]): Promise<Config> {
  const { text, exposure } = await readSmallFile(path, 'config file', configBytesMax)
  const values = parse(text, path)
  checkNames(values, [...new Set([...names, ...passwordNames])], { where: `the config file ${path}` })
  if (exposure !== undefined && values.password !== undefined) {
    const { fault, remedy } = exposure
    throw createError('KEY_EXPOSED', `The config file ${path} holds a password and ${fault}. Run: ${remedy}`, {
      details: { path },
    })
  }
  return { path, values }
}

function parse(text: string, path: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's own message may quote the text, and with it a password.
    throw invalid(path, 'is not JSON')
  }
  if (!isRecord(value)) throw invalid(path, 'must hold one JSON object')
  return value
}

function invalid(path: string, fault: string): Error {
  return createError('INVALID_OPTION', `The config file ${path} ${fault}.`, { details: { option: 'config', path } })
}
