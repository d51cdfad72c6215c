import { createError, type ObjectRelayError } from '../errors.ts'
import { registerPasswordElsewhere } from './loginWorker.ts'
import { checkPassword } from './password.ts'
import {
  heavyStretching,
  isUsableRecord,
  loadPasswordProof,
  type PasswordRecord,
  registrationRecordBytes,
  serverSetupBytes,
  stretchingFault,
} from './passwordLogin.ts'
import { createPrivateFile, readBoundedFile } from './privateFiles.ts'
import type { KeyStretching } from './proofMessages.ts'

const verifierFormat = 'objectrelay password verifier'
const verifierVersion = 1
/** A verifier has about 700 bytes. */
const verifierBytesMax = 8 * 1024

/** What a verifier file holds, as JSON. Whoever reads it can try passwords against it, slowly; it is a secret. */
export interface PasswordVerifier {
  readonly format: typeof verifierFormat
  readonly version: typeof verifierVersion
  readonly serverSetup: string
  readonly registrationRecord: string
  readonly stretching: KeyStretching
}

/** Makes the verifier of a password as JSON text, with heavy stretching (about 0.4 s, in a thread of its own). */
export async function createPasswordVerifier(password: string): Promise<string> {
  const checked = checkPassword(password)
  const { serverSetup, registrationRecord, stretching } = await registerPasswordElsewhere(checked, heavyStretching)
  const verifier: PasswordVerifier = {
    format: verifierFormat,
    version: verifierVersion,
    serverSetup: Buffer.from(serverSetup).toString('base64url'),
    registrationRecord: Buffer.from(registrationRecord).toString('base64url'),
    stretching,
  }
  return `${JSON.stringify(verifier, null, 2)}\n`
}

/** Makes the verifier of a password and writes it to a new file that only its owner can read. */
export async function writePasswordVerifier(file: string, password: string): Promise<void> {
  await createPrivateFile(file, await createPasswordVerifier(password), 'password verifier')
}

/** Reads a verifier file: it must be private, small, and exactly what {@link createPasswordVerifier} makes. */
export async function readPasswordVerifier(file: string): Promise<PasswordVerifier> {
  const text = await readBoundedFile(file, { what: 'password verifier', bytesMax: verifierBytesMax, isPrivate: true })
  return toVerifier(parseJson(text, `The password verifier ${file}`), `The password verifier ${file}`)
}

/** The record behind the option `passwordVerifier`: an object, its JSON text, or the path of a verifier file. */
export async function openPasswordVerifier(source: string | object): Promise<PasswordRecord> {
  await loadPasswordProof()
  return toRecord(await toCheckedVerifier(source))
}

async function toCheckedVerifier(source: unknown): Promise<PasswordVerifier> {
  const where = 'The option passwordVerifier'
  if (typeof source === 'object' && source !== null) return toVerifier(source, where)
  if (typeof source !== 'string' || source === '') {
    throw createError('INVALID_OPTION', `${where} must be the path of a verifier file, or its content.`, {
      details: { option: 'passwordVerifier' },
    })
  }
  if (!source.trimStart().startsWith('{')) return readPasswordVerifier(source)
  if (source.length > verifierBytesMax) throw invalid(where, `it has more than ${verifierBytesMax} characters`)
  return toVerifier(parseJson(source, where), where)
}

function toRecord({ serverSetup, registrationRecord, stretching }: PasswordVerifier): PasswordRecord {
  const record = {
    serverSetup: new Uint8Array(Buffer.from(serverSetup, 'base64url')),
    registrationRecord: new Uint8Array(Buffer.from(registrationRecord, 'base64url')),
    stretching,
  }
  if (!isUsableRecord(record)) throw invalid('The password verifier', 'its keys are not valid')
  return record
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own message quotes the text, which is secret.
    throw invalid(where, 'it is not JSON')
  }
}

function toVerifier(value: unknown, where: string): PasswordVerifier {
  const fields = exactFields(value, ['format', 'version', 'serverSetup', 'registrationRecord', 'stretching'], where)
  if (fields.format !== verifierFormat) throw invalid(where, `its format is not "${verifierFormat}"`)
  if (fields.version !== verifierVersion) throw invalid(where, `its version is not ${verifierVersion}`)
  const stretching = exactFields(fields.stretching, ['memoryKiB', 'iterations', 'parallelism'], where)
  const checked = {
    memoryKiB: count(stretching.memoryKiB),
    iterations: count(stretching.iterations),
    parallelism: count(stretching.parallelism),
  }
  const fault = stretchingFault(checked)
  if (fault !== undefined) throw invalid(where, fault)
  return {
    format: verifierFormat,
    version: verifierVersion,
    serverSetup: keyText(fields.serverSetup, serverSetupBytes, 'serverSetup', where),
    registrationRecord: keyText(fields.registrationRecord, registrationRecordBytes, 'registrationRecord', where),
    stretching: checked,
  }
}

function exactFields(value: unknown, names: readonly string[], where: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(where, 'it is not an object')
  const found = Object.keys(value)
  const missing = names.find((name) => !found.includes(name))
  if (missing !== undefined) throw invalid(where, `the field ${missing} is missing`)
  if (found.length !== names.length) throw invalid(where, 'it has fields that do not belong there')
  return Object.fromEntries(Object.entries(value))
}

function count(value: unknown): number {
  return typeof value === 'number' ? value : Number.NaN
}

function keyText(value: unknown, bytes: number, name: string, where: string): string {
  if (typeof value !== 'string' || value.length > bytes * 2) throw invalid(where, `the field ${name} is not a key`)
  const decoded = Buffer.from(value, 'base64url')
  if (decoded.length !== bytes || decoded.toString('base64url') !== value) {
    throw invalid(where, `the field ${name} is not ${bytes} bytes as base64url`)
  }
  return value
}

function invalid(where: string, fault: string): ObjectRelayError {
  return createError('KEY_INVALID', `${where} is not valid: ${fault}. Make a new one from the password.`)
}
