import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatJson } from './json.js'
import { summarize } from './summary.js'
import { formatTable } from './table.js'

/** @type {import('../harness/types.js').Workload} */
const workload = {
  name: 'W0',
  title: 'a test',
  phases: ['run'],
  parameters: () => ({}),
  roles: {},
  measure: () => [],
  objects: () => 1,
}

/** @param {number} rate @returns {import('../harness/types.js').Outcome} */
function outcomeOf(rate) {
  return {
    metrics: [{ name: 'rate', unit: 'objects/s', value: rate, better: 'higher' }],
    cpuUsPerObject: { relay: 1_000 / rate, producer: 2 },
    peakRssMiB: { relay: rate / 10, producer: 50 },
  }
}

/** @type {import('../harness/types.js').Outcome} */
const failed = { metrics: [], cpuUsPerObject: {}, peakRssMiB: {}, failure: 'it broke\n    at a line' }

/**
 * @param {Record<string, import('../harness/types.js').Outcome[]>} outcomes
 * @param {Record<string, { note: string, reason?: string }>} [absences]
 */
function summaryOf(outcomes, absences = {}) {
  return summarize(workload, {
    outcomes: new Map(Object.entries(outcomes)),
    absences: new Map(Object.entries(absences)),
    scale: 1,
  })
}

test('a ratio is the median of the ratios of neighbouring runs', () => {
  const { systems } = summaryOf({
    raw2: [100, 200, 400].map(outcomeOf),
    other: [50, 180, 100].map(outcomeOf),
  })
  assert.equal(systems[1]?.metrics[0]?.median, 100)
  // 0.5, 0.9 and 0.25, and not 100 / 200.
  assert.equal(systems[1]?.metrics[0]?.ratio, 0.5)
})

test('a peak is the highest of all runs, processor time their median', () => {
  const { systems } = summaryOf({ raw2: [100, 200, 400].map(outcomeOf) })
  assert.deepEqual(systems[0]?.peakRssMiB, { relay: 40, producer: 50 })
  assert.deepEqual(systems[0]?.cpuUsPerObject, { relay: 5, producer: 2 })
})

test('ratios of a workload with variants are to the first of them', () => {
  const outcomes = new Map([
    ['plain', [outcomeOf(100)]],
    ['clever', [outcomeOf(300)]],
  ])
  const summary = summarize({ ...workload, variants: ['plain', 'clever'] }, { outcomes, absences: new Map(), scale: 1 })
  assert.equal(summary.systems[1]?.metrics[0]?.ratio, 3)
  assert.ok(formatTable(summary).includes('x plain'))
})

test('a system without its server has a row that says what to install', () => {
  const text = formatTable(
    summaryOf({ raw2: [outcomeOf(100)] }, { nats: { note: 'not installed (apt-get install nats-server)' } }),
  )
  assert.match(text, /^\| nats +\| not installed \(apt-get install nats-server\) \|/m)
})

test('a system that cannot do the work has a dash, and the reason below', () => {
  const text = formatTable(summaryOf({ raw2: [outcomeOf(100)] }, { nats: { note: '-', reason: 'it keeps nothing' } }))
  assert.match(text, /^\| nats +\| +- \|/m)
  assert.match(text, /^nats: it keeps nothing$/m)
})

test('a failed run is named below the table, with the first line of its error', () => {
  const text = formatTable(summaryOf({ raw2: [outcomeOf(100)], other: [failed] }))
  assert.match(text, /^\| other +\| +failed \|/m)
  assert.match(text, /^other failed: it broke$/m)
})

test('a table has rows even when no system has figures', () => {
  const text = formatTable(summaryOf({ raw2: [failed] }, { nats: { note: '-', reason: 'it keeps nothing' } }))
  assert.match(text, /^\| raw2 +\| +failed \|/m)
  assert.match(text, /^\| nats +\| +- \|/m)
})

test('all rows of a table are equally long', () => {
  const text = formatTable(
    summaryOf({ raw2: [outcomeOf(1_234_567)], other: [failed] }, { nats: { note: 'not installed' } }),
  )
  const lengths = text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.length)
  assert.equal(new Set(lengths).size, 1)
})

test('figures are written with a row of numbers on one line', () => {
  const value = { values: [1, -2.5, 1e21], empty: [], systems: [{ name: 'raw2, [1]' }] }
  const text = formatJson(value)
  assert.deepEqual(JSON.parse(text), value)
  assert.ok(text.includes('"values": [1, -2.5, 1e+21]'))
})
