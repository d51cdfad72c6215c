import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryFolder, useDataFolder } from '../../support/folders.ts'
import { Ledger } from './ledger.ts'

useDataFolder()

async function ledgerOf(...journals: string[][]): Promise<Ledger> {
  const folder = await temporaryFolder()
  return new Ledger(
    journals.map((lines, index) => {
      const path = join(folder, `${index}.journal`)
      writeFileSync(path, lines.map((line) => `${line}\n`).join(''))
      return path
    }),
  )
}

it('finds nothing wrong where everything that was accepted arrived once and in order', async () => {
  const ledger = await ledgerOf(['accepted p 0', 'accepted p 1'], ['came p 0 1 0 produce', 'came p 1 1 0 produce'])
  expect(ledger.verdict({ p: 2 })).toEqual({
    accepted: 2,
    arrived: 2,
    lost: 0,
    duplicated: 0,
    unexpected: 0,
    outOfOrder: 0,
    redelivered: 0,
  })
})

it('classes what is lost, duplicated, unexpected and out of order', async () => {
  const ledger = await ledgerOf(
    ['accepted p 0', 'accepted p 1', 'accepted p 2', 'failed p 3 DEADLINE'],
    ['came p 2 1 0 produce', 'came p 1 1 0 produce', 'came p 9 1 0 produce', 'came p 3 1 0 produce'],
    ['came p 2 2 0 produce', 'damaged p 4 1 0 produce'],
  )
  expect(ledger.verdict({ p: 5 })).toEqual({
    accepted: 3,
    arrived: 4,
    lost: 1,
    duplicated: 1,
    unexpected: 3,
    outOfOrder: 2,
    redelivered: 1,
  })
  expect(ledger.lost).toEqual(['p 0'])
})

it('counts nothing as out of order that another consumer got, or that was given back', async () => {
  const ledger = await ledgerOf(
    ['came p 3 1 0 produce', 'came p 1 2 0 produce'],
    ['came p 0 1 0 produce', 'came p 2 1 0 produce'],
  )
  expect(ledger.verdict({ p: 4 })).toMatchObject({ outOfOrder: 0, redelivered: 1 })
})
