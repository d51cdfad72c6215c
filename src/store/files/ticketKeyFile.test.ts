import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadTicketKey } from './ticketKeyFile.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ticket-key-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('the ticket key of a store', () => {
  it('is made once, for its owner alone, and found again', async () => {
    const key = await loadTicketKey(folder)
    expect(key).toHaveLength(32)
    expect(await loadTicketKey(folder)).toEqual(key)
    expect(readdirSync(folder)).toEqual(['ticket.key'])
    if (process.platform !== 'win32') expect(statSync(join(folder, 'ticket.key')).mode & 0o777).toBe(0o600)
  })

  it.skipIf(process.platform === 'win32')('is replaced when others could read it', async () => {
    const key = await loadTicketKey(folder)
    chmodSync(join(folder, 'ticket.key'), 0o640)
    const next = await loadTicketKey(folder)
    expect(next).not.toEqual(key)
    expect(statSync(join(folder, 'ticket.key')).mode & 0o777).toBe(0o600)
  })

  it('is replaced when it is damaged', async () => {
    for (const content of ['', 'short', 'x'.repeat(33)]) {
      writeFileSync(join(folder, 'ticket.key'), content, { mode: 0o600 })
      expect(await loadTicketKey(folder)).toHaveLength(32)
    }
  })
})
