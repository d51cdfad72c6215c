import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readArguments } from './arguments.js'

test('without arguments it measures W1 to W4, with no peers, three times', () => {
  const { workloads, drivers, ioModes, runs, growths } = readArguments([])
  assert.deepEqual(workloads, ['W1', 'W2', 'W3', 'W4'])
  assert.deepEqual(drivers, ['raw2', 'objectrelay'])
  assert.deepEqual(ioModes, ['thread'])
  assert.equal(runs, 3)
  assert.deepEqual(growths, [])
})

test('peers come beside the limit and the library', () => {
  assert.deepEqual(readArguments(['--peers', 'nats,redis']).drivers, ['raw2', 'objectrelay', 'nats', 'redis'])
  assert.ok(readArguments(['--peers', 'all']).drivers.includes('zeromq'))
})

test('only what is named runs with --only', () => {
  assert.deepEqual(readArguments(['--only', 'raw2,nats']).drivers, ['raw2', 'nats'])
})

test('W9 stands for all of its parts', () => {
  assert.deepEqual(readArguments(['W9', 'W1']).workloads, ['W9-small', 'W9-arrays', 'W9-recovery', 'W1'])
})

test('a growth is measured once, along all axes or those that are named', () => {
  const { growths, workloads, runs } = readArguments(['growth'])
  assert.ok(growths.includes('size') && growths.includes('groups'))
  assert.deepEqual(workloads, [])
  assert.equal(runs, 1)
  assert.deepEqual(readArguments(['growth', 'waiting']).growths, ['waiting'])
})

test('what does not exist is refused with what there is', () => {
  assert.throws(() => readArguments(['W99']), /there is no workload W99; there are W1/)
  assert.throws(() => readArguments(['growth', 'colour']), /there is no axis of growth colour; there are size/)
  assert.throws(() => readArguments(['--peers', 'rabbits']), /there is no peer rabbits; there are nats/)
  assert.throws(() => readArguments(['--io', 'both', '--only', 'x']), /there is no driver x/)
  assert.throws(() => readArguments(['--io', 'fast']), /there is no mode of --io fast/)
})

test('a number that cannot be is refused', () => {
  for (const argv of [
    ['--runs', '0'],
    ['--runs', '1.5'],
    ['--scale', ''],
    ['--timeout-s', 'soon'],
  ]) {
    assert.throws(() => readArguments(argv), /give /)
  }
})
