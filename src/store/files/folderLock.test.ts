import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FolderLock } from './folderLock.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function claimed(where = folder): Promise<FolderLock> {
  const claim = await FolderLock.claim(where, 'here')
  if (claim === undefined) throw new Error('It is taken.')
  return claim
}

describe('FolderLock', () => {
  it('is claimed by one at a time, and free again when that one lets go', async () => {
    const lock = await claimed()
    expect(await FolderLock.claim(folder, 'here')).toBeUndefined()
    expect(await FolderLock.isClaimed(folder, 'here')).toBe(true)
    await lock.release()
    expect(await FolderLock.isClaimed(folder, 'here')).toBe(false)
    await (await claimed()).release()
  })

  it('is free when the process that claimed it was killed', async () => {
    const script = `require('node:net').createServer().listen(process.argv[1], () => console.log('listening'))`
    const child = spawn(process.execPath, ['-e', script, join(folder, 'here')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    expect(await FolderLock.claim(folder, 'here')).toBeUndefined()
    child.kill('SIGKILL')
    await once(child, 'exit')
    await (await claimed()).release()
  })

  it('is taken while the process that claimed it is frozen', async () => {
    const script = `require('node:net').createServer().listen(process.argv[1], () => console.log('listening'))`
    const child = spawn(process.execPath, ['-e', script, join(folder, 'here')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    child.kill('SIGSTOP')
    expect(await FolderLock.claim(folder, 'here')).toBeUndefined()
    child.kill('SIGKILL')
    await once(child, 'exit')
  })

  it('works in a folder whose path is too long for a socket', async () => {
    const deep = join(folder, 'a'.repeat(100), 'b'.repeat(100))
    mkdirSync(deep, { recursive: true })
    const lock = await claimed(deep)
    expect(await FolderLock.claim(deep, 'here')).toBeUndefined()
    await lock.release()
    await (await claimed(deep)).release()
  })

  it('is not stopped by something else that bears its name', async () => {
    writeFileSync(join(folder, 'here'), '')
    await (await claimed()).release()
  })

  it('rejects with what the operating system says when the folder is not there', async () => {
    await expect(FolderLock.claim(join(folder, 'missing'), 'here')).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
