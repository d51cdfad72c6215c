import { parseArgs } from 'node:util'
import { driverNames, ownNames, peerNames } from './drivers/catalogue.js'
import { workloadNames } from './workloads/catalogue.js'

export const usage = `npm run bench -- [workload ...] [options]

  workloads          ${workloadNames.join(' ')}   (default: W1 W2 W3 W4)
  --io MODE          thread, inline or both: how objectrelay's endpoints do their I/O (default: thread)
  --runs N           runs of each system, in turn; the table shows medians (default: 3)
  --peers NAMES      other systems to measure beside, with commas, or all: ${peerNames.join(', ')}
  --only NAMES       a driver or several, with commas, instead of ${ownNames.join(' and ')} and the peers
  --scale FACTOR     the share of the objects, for a quick trial (default: 1)
  --timeout-s N      give up on one run after this time (default: 180)
  --json FILE        write every figure of every run to this file
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

/** @param {string[]} argv */
export function readArguments(argv) {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      io: { type: 'string', default: 'thread' },
      runs: { type: 'string', default: '3' },
      peers: { type: 'string', default: '' },
      only: { type: 'string' },
      scale: { type: 'string', default: '1' },
      'timeout-s': { type: 'string', default: '180' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  checkKnown([values.io], ['thread', 'inline', 'both'], 'mode of --io')
  const positive = (/** @type {number} */ value) => value > 0 && Number.isFinite(value)
  return {
    help: values.help,
    workloads: positionals.length === 0 ? ['W1', 'W2', 'W3', 'W4'] : checkKnown(positionals, workloadNames, 'workload'),
    ioModes: values.io === 'both' ? ['thread', 'inline'] : [values.io],
    runs: readNumber(values.runs, 'runs', (value) => Number.isInteger(value) && value > 0, 'a whole number above 0'),
    scale: readNumber(values.scale, 'scale', positive, 'a number above 0'),
    timeoutMs: 1000 * readNumber(values['timeout-s'], 'timeout-s', positive, 'seconds above 0'),
    drivers: chosenDrivers(values),
    json: values.json,
  }
}
