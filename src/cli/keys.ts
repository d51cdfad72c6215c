import type { Command } from 'commander'
import { textOption } from '../options.ts'
import { defaultKeyFolder, makeKeys } from '../security/keyFolder.ts'
import { checkPassword, passwordWarning } from '../security/password.ts'
import { writePasswordVerifier } from '../security/passwordVerifier.ts'
import { certificateFacts, describeCertificate, showKeys } from './certificateFacts.ts'
import {
  addCommonFlags,
  addConfigFlag,
  addPasswordFlags,
  flagsOf,
  outputOf,
  passwordOf,
  resolveCommand,
  textOf,
  textsOf,
  usageError,
} from './commandContext.ts'
import { defineKeysFetch } from './keysFetch.ts'
import { folderSettings } from './settingCatalogue.ts'
import { addSettings, collect, explainingSources } from './settings.ts'

const overview = `
A relay needs none of this: it makes its own key and certificate on first start, and the password proves it. Certificates
are an additional check, for those who want one.

Examples:
  $ objectrelay keys generate --keys-dir relay-keys --hostname relay.example.com
  $ objectrelay keys show --keys-dir relay-keys
  $ objectrelay keys fetch --host 127.0.0.1 --port 3000 --out endpoint-keys/certificate.pem
  $ objectrelay keys verifier --out relay.verifier`

/** Defines `objectrelay keys` and what is under it. */
export function defineKeys(program: Command): void {
  const keys = program
    .command('keys')
    .description('make, show and fetch keys and certificates')
    .addHelpText('after', overview)
  defineGenerate(keys)
  defineShow(keys)
  defineKeysFetch(keys)
  defineVerifier(keys)
}

function defineGenerate(keys: Command): void {
  const command = keys.command('generate').description('make key.pem and certificate.pem in a folder that has none')

  addSettings(command, folderSettings).option(
    '--hostname <name>',
    'name or address by which the relay is reached; repeat it for more',
    collect,
  )
  addConfigFlag(command)
  addCommonFlags(command)
    .addHelpText(
      'after',
      `
The key is for a relay alone, and only its owner may read it; certificate.pem is for every endpoint.

Example:
  $ objectrelay keys generate --keys-dir relay-keys --hostname relay.example.com --hostname 192.0.2.7`,
    )
    .action(async (_flags, self: Command) => {
      const hostnames = textsOf(flagsOf(self).hostname)
      const folder = await folderOf(self)
      const { certificate } = await makeKeys(folder, hostnames.length === 0 ? {} : { hostnames })
      const facts = { keysDir: folder, ...certificateFacts(certificate) }
      await outputOf(self).result(facts, `made key.pem and certificate.pem in ${folder}\n${describeCertificate(facts)}`)
    })
}

function defineShow(keys: Command): void {
  const command = keys.command('show').description('show the certificate in a folder: names, validity, fingerprint')
  addSettings(command, folderSettings)
  addConfigFlag(command)
  addCommonFlags(command)
    .addHelpText('after', '\nExample:\n  $ objectrelay keys show --keys-dir relay-keys --json')
    .action(async (_flags, self: Command) => {
      const facts = await showKeys(await folderOf(self))
      const key = facts.hasKey ? '' : '\nkey          none: this folder is for an endpoint'
      await outputOf(self).result(facts, `folder       ${facts.keysDir}\n${describeCertificate(facts)}${key}`)
    })
}

async function folderOf(command: Command): Promise<string> {
  const { resolved } = await resolveCommand(command, folderSettings)
  const { keysDir } = resolved.values
  if (keysDir === undefined) return await defaultKeyFolder()
  return await explainingSources(resolved, folderSettings, async () => textOption('keysDir', keysDir))
}

function defineVerifier(keys: Command): void {
  const command = keys
    .command('verifier')
    .description('make a file by which a relay recognises the password without knowing it')
    .option('--out <file>', 'file to make; it is never overwritten')
  addPasswordFlags(command)
  addConfigFlag(command)
  addCommonFlags(command)
    .addHelpText(
      'after',
      `
Whoever reads the file can try passwords against it, slowly: keep it private.

Example:
  $ objectrelay keys verifier --out relay.verifier
  $ objectrelay relay --port 3000 --password-verifier relay.verifier`,
    )
    .action(async (_flags, self: Command) => {
      const output = outputOf(self)
      const out = textOf(flagsOf(self).out)
      if (out === undefined) throw usageError('--out', 'is missing: it is the file to make')
      const { flags, config } = await resolveCommand(self, [])
      const password = checkPassword((await passwordOf({ flags, config }, output, { confirm: true })).password)
      const weakness = passwordWarning(password)
      if (weakness !== undefined) output.warn(weakness)
      await writePasswordVerifier(out, password)
      await output.result({ path: out }, `made ${out}`)
    })
}
