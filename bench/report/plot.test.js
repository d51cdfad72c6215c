import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plotSvg } from './plot.js'
import { formatTick, linearScale, logScale } from './scale.js'

const axis = (/** @type {boolean} */ isLog) => ({ label: 'objects', isLog })

test('a logarithmic scale goes from the power of ten below to the one above', () => {
  const { place, ticks } = logScale([2, 1_000])
  assert.deepEqual(ticks, [1, 10, 100, 1_000])
  assert.equal(place(1), 0)
  assert.equal(place(1_000), 1)
})

test('a logarithmic scale of few decades has marks between them', () => {
  assert.deepEqual(logScale([0.2, 8]).ticks, [0.1, 0.2, 0.5, 1, 2, 5, 10])
})

test('a logarithmic scale of one value still has a length', () => {
  const { place, ticks } = logScale([100])
  assert.deepEqual([ticks[0], ticks.at(-1)], [100, 1_000])
  assert.equal(place(100), 0)
})

test('a linear scale begins at 0 and ends at a round number above the values', () => {
  for (const top of [0.03, 1, 7.3, 8.6, 99, 100, 12_345]) {
    const { place, ticks } = linearScale([top])
    const last = ticks.at(-1) ?? 0
    assert.equal(ticks[0], 0)
    assert.ok(last >= top && last <= top * 2.5, `${top} to ${last}`)
    assert.ok(ticks.length >= 2 && ticks.length <= 7, `${top} has ${ticks.length} marks`)
    assert.ok(Math.abs(place(last) - 1) < 1e-9)
  }
})

test('marks are written with prefixes', () => {
  const written = [0.5, 1, 20_000, 1e6, 2 ** 30].map((value) => formatTick(value, 'B'))
  assert.deepEqual(written, ['0.5 B', '1 B', '20 kB', '1 MB', '1.07 GB'])
  assert.equal(formatTick(5, ''), '5')
})

test('a plot leaves out what has no place on its axes', () => {
  const series = [
    {
      name: 'a',
      points: /** @type {[number, number][]} */ ([
        [1, -1],
        [10, 5],
        [100, Number.NaN],
      ]),
    },
  ]
  const svg = plotSvg({ title: 'cost', x: axis(true), y: axis(true), series })
  // One in the plot, one beside the name.
  assert.equal(svg.match(/<circle/g)?.length, 2)
})

test('a plot without points is an error', () => {
  const series = [{ name: 'a', points: /** @type {[number, number][]} */ ([[0, 1]]) }]
  assert.throws(() => plotSvg({ title: 'cost', x: axis(true), y: axis(false), series }), /"cost" has no points/)
})

test('a plot escapes its texts and has a dark form', () => {
  const series = [{ name: 'a < b & c', points: /** @type {[number, number][]} */ ([[1, 1]]) }]
  const svg = plotSvg({ title: '<title>', x: axis(true), y: axis(false), series })
  assert.ok(svg.includes('a &lt; b &amp; c'))
  assert.ok(!svg.includes('<title><title>'))
  assert.ok(svg.includes('prefers-color-scheme: dark'))
})
