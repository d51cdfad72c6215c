import { median } from '../harness/clock.js'

/** The system that ratios are taken to, where a workload has no variants. */
const limitName = 'raw2'

/** @typedef {import('../harness/types.js').Outcome} Outcome */
/** @typedef {{ name: string, unit: string, better: string, median: number, ratio: number | undefined, values: number[] }} MetricSummary */
/** @typedef {{ name: string, metrics: MetricSummary[], cpuUsPerObject: Record<string, number>, peakRssMiB: Record<string, number>, failures: string[], absence?: Absence }} SystemSummary */
/** @typedef {{ note: string, reason?: string }} Absence */
/** @typedef {{ workload: string, title: string, scale: number, limit: string, systems: SystemSummary[] }} Summary */

/**
 * The median of the ratios of neighbouring runs: the machine's load drifts, and neighbours share it.
 * @param {Outcome[]} own
 * @param {Outcome[] | undefined} limit
 * @param {string} metric
 */
function ratioToLimit(own, limit, metric) {
  const value = (/** @type {Outcome | undefined} */ outcome) =>
    outcome?.metrics.find(({ name }) => name === metric)?.value
  const ratios = []
  for (const [run, outcome] of own.entries()) {
    const mine = value(outcome)
    const theirs = value(limit?.[run])
    if (mine !== undefined && theirs !== undefined) ratios.push(mine / theirs)
  }
  return ratios.length === 0 ? undefined : median(ratios)
}

/**
 * @param {string} name
 * @param {Outcome[]} outcomes
 * @param {Outcome[] | undefined} limit
 * @returns {SystemSummary}
 */
function summarizeSystem(name, outcomes, limit) {
  const complete = outcomes.filter(({ failure }) => failure === undefined)
  const metrics = (complete[0]?.metrics ?? []).map(({ name: metric, unit, better }) => {
    const values = complete.map(({ metrics }) => metrics.find((each) => each.name === metric)?.value ?? Number.NaN)
    return { name: metric, unit, better, median: median(values), ratio: ratioToLimit(outcomes, limit, metric), values }
  })
  const processes = Object.keys(complete[0]?.cpuUsPerObject ?? {})
  const cpuUsPerObject = Object.fromEntries(
    processes.map((process) => [process, median(complete.map((each) => each.cpuUsPerObject[process] ?? Number.NaN))]),
  )
  const peakRssMiB = Object.fromEntries(
    // A peak is a bound: its highest counts, not its median.
    processes.map((process) => [process, Math.max(...complete.map((each) => each.peakRssMiB[process] ?? Number.NaN))]),
  )
  return {
    name,
    metrics,
    cpuUsPerObject,
    peakRssMiB,
    failures: outcomes.map(({ failure }) => failure).filter((failure) => failure !== undefined),
  }
}

/**
 * @param {import('../harness/types.js').Workload} workload
 * @param {{ outcomes: Map<string, Outcome[]>, absences: Map<string, Absence>, scale: number }} measured
 * @returns {Summary}
 */
export function summarize(workload, { outcomes, absences, scale }) {
  const limit = workload.variants?.[0] ?? limitName
  const systems = [...outcomes].map(([name, own]) => summarizeSystem(name, own, outcomes.get(limit)))
  for (const [name, absence] of absences) {
    systems.push({ name, metrics: [], cpuUsPerObject: {}, peakRssMiB: {}, failures: [], absence })
  }
  return { workload: workload.name, title: workload.title, scale, limit, systems }
}
