import { percent } from './progress.js'
import { hyperparameterNames, space, toFraction } from './search.js'

/**
 * The drawings of the report, as SVG text. Colours are CSS variables of the page, so that they follow its theme.
 *
 * @typedef {import('./run.js').FinishedTrial} FinishedTrial
 * @typedef {import('./run.js').Start} Start
 * @typedef {import('./run.js').Kill} Kill
 * @typedef {object} Run
 * @property {FinishedTrial[]} trials In the order in which they came in.
 * @property {Start[]} starts
 * @property {Kill | undefined} kill
 * @property {import('./trainer.js').Summary} summary
 * @property {number} totalMs
 * @property {string[]} workers
 */

const width = 960
const left = 64
const right = 20

/** @param {string} text */
export function escapeHtml(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** @param {FinishedTrial} trial */
export function describe({ trial, worker, attempt, accuracy, warmStarted }) {
  const values = hyperparameterNames.map((name) => `${name} ${Number(trial.hyperparameters[name].toPrecision(3))}`)
  const remarks = [`${worker}, attempt ${attempt}`, warmStarted ? 'from the best model' : 'from random weights']
  return escapeHtml([`Trial ${trial.id}: ${percent(accuracy)}`, ...remarks, ...values].join('\n'))
}

/** @param {number} totalMs */
function timeAxis(totalMs) {
  const seconds = totalMs / 1000
  const stepSeconds = [1, 2, 5, 10, 20].find((step) => seconds / step <= 10) ?? 60
  const ticks = Array.from({ length: Math.floor(seconds / stepSeconds) + 1 }, (_, index) => index * stepSeconds)
  return { x: (/** @type {number} */ ms) => left + ((width - left - right) * ms) / totalMs, ticks }
}

/**
 * Accuracy over time. The axis is logarithmic in the error, so that 95 % and 97 % are as far apart as they are hard.
 *
 * @param {Run} run
 */
export function accuracyChart({ trials, kill, totalMs, workers }) {
  const height = 380
  const bottom = height - 40
  const { x, ticks } = timeAxis(totalMs)
  const errors = trials.map(({ accuracy }) => Math.max(1 - accuracy, 0.001))
  const top = Math.min(...errors) * 0.85
  const y = (/** @type {number} */ accuracy) =>
    24 + ((bottom - 24) * Math.log(Math.max(1 - accuracy, 0.001) / top)) / Math.log(1 / top)
  const grid = [0, 0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99]
    .filter((accuracy) => 1 - accuracy >= top)
    .map((accuracy) => horizontalRule(y(accuracy), `${Math.round(accuracy * 100)} %`))
  let best = 0
  const steps = trials.flatMap(({ finishedMs, accuracy }) => {
    if (accuracy <= best) return []
    const step = best === 0 ? `M${x(finishedMs)} ${y(accuracy)}` : `H${x(finishedMs)}V${y(accuracy)}`
    best = accuracy
    return [step]
  })
  const points = trials.map((trial) => {
    const shape = trial.warmStarted ? 'ring' : 'dot'
    const group = `class="${shape} worker-${workers.indexOf(trial.worker) + 1}" tabindex="0"`
    const circle = `<circle cx="${x(trial.finishedMs)}" cy="${y(trial.accuracy)}" r="5.5"/>`
    const again =
      trial.attempt > 1 ? `<circle class="again" cx="${x(trial.finishedMs)}" cy="${y(trial.accuracy)}" r="10"/>` : ''
    return `<g ${group}><title>${describe(trial)}</title>${circle}${again}</g>`
  })
  const body = [
    ...grid,
    ...ticks.map((tick) => timeLabel(x(tick * 1000), height - 18, tick)),
    `<path class="best" d="${steps.join('')}H${x(totalMs)}"/>`,
    kill ? killMark(x(kill.killedMs), 24, bottom, `${kill.worker} killed`) : '',
    ...points,
  ]
  return drawing(width, height, 'Accuracy of every trial over time', body)
}

/**
 * What each worker did when; the bar of the killed worker's trial is cut off, and the trial begins again elsewhere.
 *
 * @param {Run} run
 */
export function workerChart({ trials, starts, kill, totalMs, workers }) {
  const laneHeight = 34
  const height = laneHeight * workers.length + 46
  const { x, ticks } = timeAxis(totalMs)
  const lane = (/** @type {string} */ worker) => 12 + laneHeight * workers.indexOf(worker)
  const bars = starts.map(({ worker, trial, attempt, startedMs }) => {
    const result = trials.find((candidate) => candidate.trial.id === trial && candidate.attempt === attempt)
    const isKilled = kill?.worker === worker && kill.trial === trial
    const end = result?.finishedMs ?? totalMs
    const barWidth = isKilled ? 5 : Math.max(2, x(end) - x(startedMs) - 1.5)
    const title = result ? describe(result) : `Trial ${trial}: ${isKilled ? 'the worker was killed' : 'no result'}`
    const label =
      barWidth > 17 ? `<text x="${x(startedMs) + barWidth / 2}" y="${lane(worker) + 17}">${trial}</text>` : ''
    const kind = isKilled ? 'killed' : `worker-${workers.indexOf(worker) + 1}`
    const bar = `<rect x="${x(startedMs)}" y="${lane(worker)}" width="${barWidth}" height="24" rx="3"/>`
    return `<g class="bar ${kind}${attempt > 1 ? ' repeated' : ''}"><title>${title}</title>${bar}${label}</g>`
  })
  const body = [
    ...workers.map(
      (worker) => `<text class="label" x="${left - 6}" y="${lane(worker) + 16}">${escapeHtml(worker)}</text>`,
    ),
    ...ticks.map((tick) => timeLabel(x(tick * 1000), height - 14, tick)),
    ...bars,
    kill ? takeover(kill, x, lane) : '',
  ]
  return drawing(width, height, 'Trials of each worker over time', body)
}

/**
 * @param {Kill} kill
 * @param {(ms: number) => number} x
 * @param {(worker: string) => number} lane
 */
function takeover({ worker, trial, killedMs, takenOver }, x, lane) {
  const y = lane(worker) + 12
  const cross = `<text class="cross" x="${x(killedMs) + 16}" y="${y + 6}">✗ killed with trial ${trial}</text>`
  if (takenOver === undefined) return cross
  const target = lane(takenOver.worker) + 12
  return `${cross}<path class="takeover" d="M${x(killedMs)} ${y}L${x(takenOver.startedMs)} ${target}"/>`
}

/**
 * One small drawing per hyperparameter: its value against the accuracy.
 *
 * @param {Run} run
 * @param {keyof import('./search.js').Hyperparameters} name
 */
export function hyperparameterChart({ trials, workers }, name) {
  const side = { width: 300, height: 150 }
  const { min, max } = space[name]
  const accuracies = trials.map(({ accuracy }) => accuracy).sort((first, second) => first - second)
  // The worst few would press all others against the upper edge; they are drawn on the lower one.
  const lowest = accuracies[Math.floor(accuracies.length / 8)] ?? 0
  const highest = accuracies.at(-1) ?? 1
  const points = trials.map((trial) => {
    const x = 12 + 276 * toFraction(trial.trial.hyperparameters[name], name)
    const y = 118 - (106 * (Math.max(trial.accuracy, lowest) - lowest)) / Math.max(highest - lowest, 1e-6)
    const kind = `${trial.warmStarted ? 'ring' : 'dot'} worker-${workers.indexOf(trial.worker) + 1}`
    return `<g class="${kind}"><title>${describe(trial)}</title><circle cx="${x}" cy="${y}" r="3.5"/></g>`
  })
  const axis = `<path class="grid" d="M12 124H288"/><text class="tick first" x="12" y="142">${min}</text>`
  return drawing(side.width, side.height, `${name} against accuracy`, [
    axis,
    `<text class="label" x="288" y="142">${max}</text>`,
    ...points,
  ])
}

/** @param {number} y @param {string} label */
function horizontalRule(y, label) {
  return `<path class="grid" d="M${left} ${y}H${width - right}"/><text class="label" x="${left - 8}" y="${y + 4}">${label}</text>`
}

/** @param {number} x @param {number} y @param {number} seconds */
function timeLabel(x, y, seconds) {
  return `<text class="tick" x="${x}" y="${y}">${seconds} s</text>`
}

/** @param {number} x @param {number} top @param {number} bottom @param {string} label */
function killMark(x, top, bottom, label) {
  return `<path class="kill" d="M${x} ${top}V${bottom}"/><text class="cross" x="${x + 6}" y="${top + 2}">✗ ${escapeHtml(label)}</text>`
}

/** @param {number} drawingWidth @param {number} height @param {string} label @param {string[]} body */
function drawing(drawingWidth, height, label, body) {
  // Tenths of a pixel are enough, and make the page half as large.
  const text = body.join('\n').replace(/\d+\.\d{2,}(?=[\s"HVLM])/g, (number) => Number(number).toFixed(1))
  return `<svg viewBox="0 0 ${drawingWidth} ${height}" role="img" aria-label="${label}">\n${text}\n</svg>`
}
