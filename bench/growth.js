import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadDriver } from './drivers/catalogue.js'
import { measureOnce } from './harness/session.js'
import { absenceOf, systemsFor } from './harness/systems.js'
import { figureOf, growthPlots } from './report/growthPlots.js'
import { formatJson } from './report/json.js'
import { describeMachine } from './report/machine.js'
import { summarize } from './report/summary.js'
import { findGrowth } from './workloads/catalogue.js'

/** @typedef {import('./harness/types.js').GrowthWorkload} GrowthWorkload */
/** @typedef {import('./harness/types.js').System} System */
/** @typedef {ReturnType<typeof import('./arguments.js').readArguments>} Options */

const usualFolder = fileURLToPath(new URL('../docs/performance', import.meta.url))

/**
 * @param {GrowthWorkload} workload
 * @param {Options} options
 */
async function fittingSystems(workload, options) {
  const fitting = []
  for (const system of systemsFor(workload, options)) {
    const absence = await absenceOf(workload, system)
    if (absence === undefined) fitting.push(system)
    else process.stderr.write(`${workload.name} ${system.name}: ${absence.reason ?? absence.note}\n`)
  }
  return fitting
}

/**
 * All systems at one point, in turn.
 * @param {GrowthWorkload} workload
 * @param {System[]} systems
 * @param {number} point
 * @param {Options} options
 */
async function measurePoint(workload, systems, point, { runs, scale, timeoutMs }) {
  /** @type {Map<string, import('./harness/types.js').Outcome[]>} */
  const outcomes = new Map()
  for (let run = 0; run < runs; run++) {
    for (const system of systems) {
      if (workload.carries?.(point, await loadDriver(system.driver)) === false) continue
      const outcome = await measureOnce({ workload, system, scale, point, timeoutMs })
      outcomes.set(system.name, [...(outcomes.get(system.name) ?? []), outcome])
    }
  }
  const summary = summarize(workload, { outcomes, absences: new Map(), scale })
  for (const system of summary.systems) {
    const figures = workload.plots.map(({ value }) => `${value} ${figureOf(system, value).toPrecision(4)}`)
    const failure = system.failures[0]?.split('\n')[0]
    const text = failure === undefined ? figures.join(', ') : `failed: ${failure}`
    process.stdout.write(`${workload.name} at ${point}, ${system.name}: ${text}\n`)
  }
  return summary.systems
}

/**
 * Measures how cost grows along one axis, and leaves plots and figures in the folder.
 * @param {string} name
 * @param {Options} options
 * @returns {Promise<boolean>} Whether all points were measured.
 */
export async function measureGrowth(name, options) {
  const workload = await findGrowth(name)
  const systems = await fittingSystems(workload, options)
  if (systems.length === 0) return true
  const series = systems.map((system) => ({
    system: system.name,
    points: /** @type {import('./report/growthPlots.js').GrowthSeries['points']} */ ([]),
  }))
  for (const point of workload.points) {
    for (const summary of await measurePoint(workload, systems, point, options)) {
      series.find(({ system }) => system === summary.name)?.points.push({ at: point, summary })
    }
  }
  const folder = options.plots ?? usualFolder
  mkdirSync(folder, { recursive: true })
  for (const [file, svg] of growthPlots(workload, series)) writeFileSync(join(folder, file), svg)
  const { title, axis } = workload
  const { runs, scale } = options
  const figures = { machine: describeMachine(), title, axis, runs, scale, series }
  writeFileSync(join(folder, `${name}.json`), formatJson(figures))
  return series.every(({ points }) => points.every(({ summary }) => summary.failures.length === 0))
}
