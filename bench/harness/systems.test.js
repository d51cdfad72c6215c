import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findWorkload } from '../workloads/catalogue.js'
import { absenceOf, systemsFor } from './systems.js'

const choice = { drivers: ['raw2', 'objectrelay'], ioModes: ['thread', 'inline'] }
const namesOf = (/** @type {import('./types.js').System[]} */ systems) => systems.map(({ name }) => name)

test('the library runs once for each mode of its I/O', async () => {
  assert.deepEqual(namesOf(systemsFor(await findWorkload('W1'), choice)), [
    'raw2',
    'objectrelay thread',
    'objectrelay inline',
  ])
})

test('a durable workload gives the library a store on disk and runs beside JetStream with files', async () => {
  const systems = systemsFor(await findWorkload('W9-small'), choice)
  assert.ok(namesOf(systems).includes('jetstream-file'))
  assert.equal(systems.find(({ driver }) => driver === 'objectrelay')?.options.store, 'file')
})

test('a workload of variants runs under them and under no system', async () => {
  assert.deepEqual(namesOf(systemsFor(await findWorkload('W11'), choice)), ['msgpackr', 'cbor-x', 'objectrelay'])
})

test('a system that keeps nothing is absent where objects must wait', async () => {
  const [raw2] = systemsFor(await findWorkload('W8'), choice)
  assert.ok(raw2)
  assert.match((await absenceOf(await findWorkload('W8'), raw2))?.reason ?? '', /keeps nothing/)
  assert.equal(await absenceOf(await findWorkload('W1'), raw2), undefined)
})

test('a system is absent where objects are larger than it carries', async () => {
  const system = { name: 'jetstream-file', driver: 'jetstream-file', options: { io: 'inline' } }
  const { reason, note } = (await absenceOf(await findWorkload('W3'), system)) ?? {}
  // Without the server, that is what is said.
  assert.ok(note?.startsWith('not installed') || reason?.includes('carries no object'))
})
