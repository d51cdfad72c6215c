import { plotSvg } from './plot.js'

/** @typedef {import('../harness/types.js').GrowthWorkload} GrowthWorkload */
/** @typedef {import('./summary.js').SystemSummary} SystemSummary */
/** @typedef {{ system: string, points: { at: number, summary: SystemSummary }[] }} GrowthSeries */

/** Those that are in several plots have the same colour in each. @type {Record<string, number>} */
const colours = { raw2: 0, 'objectrelay thread': 1, 'objectrelay inline': 2 }

/**
 * @param {SystemSummary} summary
 * @param {string} value
 */
export function figureOf(summary, value) {
  if (value !== 'cpu') return summary.metrics.find(({ name }) => name === value)?.median ?? Number.NaN
  const shares = Object.values(summary.cpuUsPerObject)
  return shares.length === 0 ? Number.NaN : shares.reduce((sum, share) => sum + share, 0)
}

/**
 * The plots of one growth as SVG, by the name of the file.
 * @param {GrowthWorkload} workload
 * @param {GrowthSeries[]} measured
 */
export function growthPlots(workload, measured) {
  /** @type {Map<string, string>} */
  const plots = new Map()
  for (const { file, title, value, y } of workload.plots) {
    const series = measured.map(({ system, points }, index) => ({
      name: system,
      colour: colours[system] ?? index,
      points: points.map(({ at, summary }) => /** @type {[number, number]} */ ([at, figureOf(summary, value)])),
    }))
    const drawn = series.filter(({ points }) => points.some(([, height]) => Number.isFinite(height)))
    if (drawn.length > 0) plots.set(`${file}.svg`, plotSvg({ title, x: workload.axis, y, series: drawn }))
  }
  return plots
}
