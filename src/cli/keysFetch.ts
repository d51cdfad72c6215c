import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Command } from 'commander'
import { createError } from '../errors.ts'
import { hostOption, portOption } from '../options.ts'
import { errorCodeOf } from '../security/privateFiles.ts'
import { fetchCertificate } from '../transport/fetchCertificate.ts'
import { unwritableFile } from './boundedFile.ts'
import { certificateFacts, describeCertificate } from './certificateFacts.ts'
import {
  addCommonFlags,
  addConfigFlag,
  durationFlag,
  flagsOf,
  outputOf,
  resolveCommand,
  textOf,
  usageError,
} from './commandContext.ts'
import { Interrupt } from './interrupt.ts'
import { fetchSettings } from './settingCatalogue.ts'
import { addSettings, explainingSources } from './settings.ts'

const timeoutDefaultMs = 10_000

const help = `
Whoever sits in between could show a certificate of his own. So compare the fingerprint with the one that 'objectrelay
relay' or 'objectrelay keys show' printed on the relay's machine, or give it with --fingerprint, and it is checked.

Examples:
  Only look:
    $ objectrelay keys fetch --host 127.0.0.1 --port 3000
  Check it, and write it for the option keysDir of endpoints:
    $ objectrelay keys fetch -p 3000 --fingerprint 4F:9A:... --out endpoint-keys/certificate.pem`

/** Defines `objectrelay keys fetch`. */
export function defineKeysFetch(keys: Command): void {
  const command = keys.command('fetch').description("show a running relay's certificate, and write it to a file")
  addSettings(command, fetchSettings)
  command
    .option('--out <file>', 'write the certificate there; without it, it is only shown')
    .option('--fingerprint <sha256>', 'SHA-256 fingerprint that the certificate must have')
    .option('--timeout <duration>', 'how long to wait for the relay (default: 10s)')
    .option('--force', 'overwrite the file')
  addConfigFlag(command)
  addCommonFlags(command)
    .addHelpText('after', help)
    .action((_flags, self: Command) => runFetch(self))
}

async function runFetch(command: Command): Promise<void> {
  const output = outputOf(command)
  const flags = flagsOf(command)
  const expected = textOf(flags.fingerprint)
  if (expected !== undefined && normalFingerprint(expected).length !== 64) {
    throw usageError('--fingerprint', 'must be a SHA-256 fingerprint: 64 hexadecimal digits, with or without colons')
  }
  const timeoutMs = durationFlag('--timeout', flags.timeout) ?? timeoutDefaultMs
  const { resolved } = await resolveCommand(command, fetchSettings)
  const { host, port } = await explainingSources(resolved, fetchSettings, async () => ({
    host: hostOption(resolved.values.host ?? '127.0.0.1'),
    port: portOption(resolved.values.port, 1),
  }))
  const interrupt = new Interrupt()
  try {
    const certificate = await interrupt.race(fetchCertificate({ host, port, timeoutMs }))
    const facts = certificateFacts(certificate)
    if (expected !== undefined) checkFingerprint(facts.fingerprint256, expected)
    const out = textOf(flags.out)
    if (out !== undefined) await writeCertificate(out, certificate, flags.force === true)
    const checked = expected !== undefined
    const advice = checked
      ? 'The fingerprint is the expected one.'
      : 'Compare the fingerprint with the one that the relay printed before you trust it.'
    const written = out === undefined ? '' : `\nwrote ${out}`
    await output.result({ host, port, ...facts, checked, path: out }, `${describeCertificate(facts)}${written}`)
    output.note(advice)
  } finally {
    interrupt.dispose()
  }
}

function checkFingerprint(found: string, expected: string): void {
  if (normalFingerprint(found) === normalFingerprint(expected)) return
  throw createError(
    'CERTIFICATE_UNTRUSTED',
    `The certificate of the relay has the fingerprint ${found}, which is not the expected one. It was not written: somebody may sit in between, or the relay has a new certificate.`,
    { details: { fingerprint256: found } },
  )
}

function normalFingerprint(text: string): string {
  const digits = text.replaceAll(/[:\s]/g, '').toLowerCase()
  return /^[0-9a-f]*$/.test(digits) ? digits : ''
}

async function writeCertificate(path: string, certificate: string, force: boolean): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, certificate, { flag: force ? 'w' : 'wx' })
  } catch (cause) {
    // The same again is what scripts do, and no reason to fail.
    if (errorCodeOf(cause) === 'EEXIST' && (await readFile(path, 'utf8')) === certificate) return
    throw unwritableFile(path, 'certificate', cause)
  }
}
