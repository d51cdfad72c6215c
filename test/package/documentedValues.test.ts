import { readFile } from 'node:fs/promises'
import * as objectrelay from 'objectrelay'
import { beforeAll, describe, expect, it } from 'vitest'

/** The tables of a document below one of its headings, as rows of cells. */
function tableRows(document: string, heading: string): string[][] {
  const from = document.indexOf(`\n## ${heading}\n`)
  if (from === -1) throw new Error(`There is no heading ${heading}.`)
  const to = document.indexOf('\n## ', from + 1)
  const section = document.slice(from, to === -1 ? undefined : to)
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()))
}

const unitSizes: Readonly<Record<string, number>> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, s: 1_000, h: 3_600_000 }

/** The number that a cell such as `8 GiB`, `5 s` or `10 000` stands for. */
function readNumber(cell = ''): number {
  const match = /^([\d ]*\d)(?: (KiB|MiB|GiB|s|h))?$/.exec(cell)
  if (match === null) throw new Error(`"${cell}" is no number with a unit.`)
  const [, digits = '', unit] = match
  return Number(digits.replaceAll(' ', '')) * (unit === undefined ? 1 : (unitSizes[unit] ?? Number.NaN))
}

const unquote = (cell = '') => cell.replaceAll('`', '')
const readDocument = (name: string) => readFile(new URL(`../../docs/${name}`, import.meta.url), 'utf8')

describe('docs/limits.md', () => {
  let document: string
  beforeAll(async () => {
    document = await readDocument('limits.md')
  })

  it.each([
    ['Relay', objectrelay.relayLimitDefaults],
    ['Endpoint', objectrelay.endpointLimitDefaults],
    ['Fixed', objectrelay.fixedLimits],
  ])('names every bound under "%s" with its default', (heading, defaults) => {
    const documented = tableRows(document, heading).map(([name, value]) => [unquote(name), readNumber(value)])
    expect(Object.fromEntries(documented)).toEqual({ ...defaults })
    expect(documented, 'each once').toHaveLength(Object.keys(defaults).length)
  })
})

describe('docs/errors.md', () => {
  let document: string
  beforeAll(async () => {
    document = await readDocument('errors.md')
  })

  it.each(['Misuse', 'Refused', 'Peer', 'Link', 'Full'])('lists every code of the category "%s"', (heading) => {
    const documented = tableRows(document, heading).map(([code, again, meaning]) => [unquote(code), again, meaning])
    const catalogue = Object.entries(objectrelay.errorCatalogue)
      .filter(([, { category }]) => category === heading.toLowerCase())
      .map(([code, { retryable, meaning }]) => [code, retryable ? 'yes' : 'no', meaning])
    expect(documented).toEqual(catalogue)
  })

  it('says for every code what causes it and what to do', () => {
    const headings = ['Misuse', 'Refused', 'Peer', 'Link', 'Full']
    for (const [code, , , cause = '', remedy = ''] of headings.flatMap((heading) => tableRows(document, heading))) {
      expect(cause.length, `the cause of ${code}`).toBeGreaterThan(10)
      expect(remedy.length, `the remedy of ${code}`).toBeGreaterThan(7)
    }
  })

  it('lists every class', () => {
    const classes = Object.entries(objectrelay).filter(([name]) => name.endsWith('Error'))
    for (const [name] of classes) expect(document, name).toContain(`\`${name}\``)
  })
})

describe('docs/api.md', () => {
  let document: string
  let door: string
  beforeAll(async () => {
    document = await readDocument('api.md')
    door = await readFile(new URL('../../src/index.ts', import.meta.url), 'utf8')
  })

  it('names everything that the package exports, types included', () => {
    const lists = [...door.matchAll(/export (?:type )?\{([^}]*)\}/g)].map(([, names = '']) => names)
    const names = lists
      .flatMap((list) => list.split(',').map((name) => name.replace(/^\s*type /, '').trim()))
      .filter((name) => name !== '')
    expect(names.length).toBeGreaterThan(30)
    for (const name of names) expect(document, name).toMatch(new RegExp(`\`(?:new )?${name}[\`.(<]`))
  })

  it.each([
    ['Relay', objectrelay.Relay.prototype],
    ['Endpoint', objectrelay.Endpoint.prototype],
  ])('names every method and property of %s', (_, prototype) => {
    const members = Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor')
    expect(members.length).toBeGreaterThan(1)
    for (const name of members) expect(document, name).toMatch(new RegExp(`\`(?:relay|endpoint)\\.${name}[\`(<]`))
  })

  it('names every method that both inherit', () => {
    const emitter: object = Object.getPrototypeOf(objectrelay.Endpoint.prototype)
    const members = Object.getOwnPropertyNames(emitter).filter((name) => name !== 'constructor')
    expect(members.length).toBeGreaterThan(3)
    for (const name of members) expect(document, name).toContain(`\`${name}\``)
  })

  it.each([
    ['relay/relayOptions', 'RelayOptions'],
    ['relay/relayOptions', 'AcceptedGroupOptions'],
    ['relay/relayEvents', 'RelayEvents'],
    ['endpoint/program/endpointOptions', 'EndpointOptions'],
    ['endpoint/program/endpointOptions', 'EndpointConnectOptions'],
    ['endpoint/program/endpointOptions', 'ReconnectOptions'],
    ['endpoint/program/endpointTypes', 'EndpointEvents'],
    ['endpoint/program/endpointTypes', 'Delivery'],
    ['endpoint/program/endpointTypes', 'SendOptions'],
    ['endpoint/program/endpointTypes', 'TakeSyncOptions'],
    ['endpoint/program/endpointTypes', 'TakeOptions'],
  ])('names every property in %s.ts of %s', async (file, type) => {
    const source = await readFile(new URL(`../../src/${file}.ts`, import.meta.url), 'utf8')
    const declaration = new RegExp(`export interface ${type}\\b[\\s\\S]*?\\n}`).exec(source)?.[0] ?? ''
    const names = [...declaration.matchAll(/^ {2}(?:readonly )?(\w+)\??[(:]/gm)].map(([, name = '']) => name)
    expect(names.length, 'the declaration was found').toBeGreaterThan(0)
    for (const name of names) expect(document, name).toMatch(new RegExp(`\`(?:\\w+\\.)?${name}[\`(]`))
  })
})
