import { parseArgs } from 'node:util'
import { driverNames, ownNames, peerNames } from './drivers/catalogue.js'
import { growthNames, workloadNames, workloadSets } from './workloads/catalogue.js'

const setNames = Object.keys(workloadSets)

export const usage = `npm run bench -- [workload ...] [options]
npm run bench -- growth [axis ...] [options]

  workloads          ${workloadNames.join(' ')}   (default: W1 W2 W3 W4; ${setNames.join(', ')} for all of its parts)
  growth             how cost grows along ${growthNames.join(', ')} (default: all of them)
  --io MODE          thread, inline or both: how objectrelay's endpoints do their I/O (default: thread)
  --runs N           runs of each system, in turn; the table shows medians (default: 3, of a growth 1)
  --peers NAMES      other systems to measure beside, with commas, or all: ${peerNames.join(', ')}
  --only NAMES       a driver or several, with commas, instead of ${ownNames.join(' and ')} and the peers
  --scale FACTOR     the share of the objects, for a quick trial (default: 1)
  --timeout-s N      give up on one run after this time (default: 180, of a growth 60)
  --json FILE        write every figure of every run to this file
  --plots FOLDER     where a growth leaves its plots and figures (default: docs/performance)
`

/**
 * @param {string} text
 * @param {string} option
 * @param {(value: number) => boolean} fits
 * @param {string} expected
 */
function readNumber(text, option, fits, expected) {
  const value = Number(text)
  if (text.trim() === '' || !fits(value)) throw new Error(`--${option} is ${text}; give ${expected}`)
  return value
}

/**
 * @param {readonly string[]} values
 * @param {readonly string[]} known
 * @param {string} what
 */
function checkKnown(values, known, what) {
  for (const value of values) {
    if (!known.includes(value)) throw new Error(`there is no ${what} ${value}; there are ${known.join(', ')}`)
  }
  return values
}

/** @param {{ only?: string | undefined, peers: string }} values */
function chosenDrivers({ only, peers }) {
  if (only !== undefined) return checkKnown(only.split(','), driverNames, 'driver')
  if (peers === '') return ownNames
  return [...ownNames, ...(peers === 'all' ? peerNames : checkKnown(peers.split(','), peerNames, 'peer'))]
}

/** @param {string[]} names */
function chosenWorkloads(names) {
  if (names.length === 0) return ['W1', 'W2', 'W3', 'W4']
  checkKnown(names, [...workloadNames, ...setNames], 'workload')
  const parts = new Map(Object.entries(workloadSets))
  return names.flatMap((name) => parts.get(name) ?? [name])
}

/** @param {string[]} names */
function chosenGrowths(names) {
  return names.length === 0 ? growthNames : checkKnown(names, growthNames, 'axis of growth')
}

/** @param {string[]} argv */
export function readArguments(argv) {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      io: { type: 'string', default: 'thread' },
      runs: { type: 'string' },
      peers: { type: 'string', default: '' },
      only: { type: 'string' },
      scale: { type: 'string', default: '1' },
      'timeout-s': { type: 'string' },
      json: { type: 'string' },
      plots: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const isGrowth = positionals[0] === 'growth'
  checkKnown([values.io], ['thread', 'inline', 'both'], 'mode of --io')
  const positive = (/** @type {number} */ value) => value > 0 && Number.isFinite(value)
  return {
    help: values.help,
    workloads: isGrowth ? [] : chosenWorkloads(positionals),
    growths: isGrowth ? chosenGrowths(positionals.slice(1)) : [],
    ioModes: values.io === 'both' ? ['thread', 'inline'] : [values.io],
    runs: readNumber(
      values.runs ?? (isGrowth ? '1' : '3'),
      'runs',
      (value) => Number.isInteger(value) && value > 0,
      'a whole number above 0',
    ),
    scale: readNumber(values.scale, 'scale', positive, 'a number above 0'),
    timeoutMs:
      1000 * readNumber(values['timeout-s'] ?? (isGrowth ? '60' : '180'), 'timeout-s', positive, 'seconds above 0'),
    drivers: chosenDrivers(values),
    json: values.json,
    plots: values.plots,
  }
}
