import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ObjectRelayError } from '../errors.ts'
import { defaultHostnames, makeCertificate, makePrivateKey } from './certificate.ts'
import { certificateFile, describeKeys, keyFile, loadKeys, type RelayKeys } from './keyFiles.ts'
import { defaultKeyFolder, loadOrMakeKeys } from './keyFolder.ts'
import { errorCodeOf } from './privateFiles.ts'

/** Where a relay has its keys from. */
export interface KeySource {
  /** Loads the keys, or makes those that are the relay's own: for the first time, or when their certificate comes to its end. */
  load(nowMs: number): Promise<RelayKeys>
  /** Differs when the files do, without reading them. */
  fingerprint(): Promise<string>
}

/** The keys of the folder that was given, which is its owner's, or those in the user's data folder, which are the relay's own. */
export function keySourceOf(keysDir: string | undefined, warn: (error: ObjectRelayError) => void): KeySource {
  return keysDir === undefined ? new OwnKeys(warn) : new FolderKeys(keysDir)
}

class FolderKeys implements KeySource {
  readonly #keysDir: string

  constructor(keysDir: string) {
    this.#keysDir = keysDir
  }

  load(nowMs: number): Promise<RelayKeys> {
    return loadKeys(this.#keysDir, { nowMs })
  }

  fingerprint(): Promise<string> {
    return fingerprintOf(this.#keysDir)
  }
}

class OwnKeys implements KeySource {
  readonly #warn: (error: ObjectRelayError) => void
  /** Once they are in memory they stay there: files that come to be later would be another relay's. */
  #memory: MemoryKeys | undefined

  constructor(warn: (error: ObjectRelayError) => void) {
    this.#warn = warn
  }

  async load(nowMs: number): Promise<RelayKeys> {
    if (this.#memory !== undefined) return this.#memory.load(nowMs)
    try {
      return await loadOrMakeKeys(await defaultKeyFolder(), { nowMs })
    } catch (thrown) {
      if (!(thrown instanceof ObjectRelayError) || thrown.code !== 'KEY_UNWRITABLE') throw thrown
      this.#memory = new MemoryKeys()
      this.#warn(thrown)
      return this.#memory.load(nowMs)
    }
  }

  async fingerprint(): Promise<string> {
    return this.#memory === undefined ? await fingerprintOf(await defaultKeyFolder()) : ''
  }
}

/** A key for as long as the relay runs; its certificate is made again each time. */
class MemoryKeys {
  readonly #key = makePrivateKey()

  load(nowMs: number): RelayKeys {
    return describeKeys(this.#key, makeCertificate({ key: this.#key, hostnames: defaultHostnames(), nowMs }))
  }
}

/** Of what the names lead to, so that a link that is turned to another folder, as Kubernetes does, is noticed. */
async function fingerprintOf(keysDir: string): Promise<string> {
  const parts = await Promise.all([keyFile, certificateFile].map((name) => statusOf(join(keysDir, name))))
  return parts.join(' ')
}

async function statusOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join(':')
  } catch (thrown) {
    return errorCodeOf(thrown) ?? 'unknown'
  }
}
