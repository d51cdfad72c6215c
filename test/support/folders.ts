import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'

const made: string[] = []

/** A new empty folder, for this process only; removed after the tests of the file if `useDataFolder` is called there. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'objectrelay-test-'))
  made.push(folder)
  return folder
}

/** Gives the tests of this file a data folder of their own, so that no relay touches the keys of the user. */
export function useDataFolder(): void {
  const before = process.env.XDG_DATA_HOME
  beforeAll(async () => {
    process.env.XDG_DATA_HOME = await temporaryFolder()
  })
  afterAll(async () => {
    if (before === undefined) delete process.env.XDG_DATA_HOME
    else process.env.XDG_DATA_HOME = before
    await Promise.all(made.splice(0).map((folder) => rm(folder, { recursive: true, force: true })))
  })
}
