/** @typedef {import('./summary.js').Summary} Summary */
/** @typedef {import('./summary.js').SystemSummary} SystemSummary */

/** @param {number} value */
function formatValue(value) {
  if (!Number.isFinite(value)) return '-'
  const decimals = value >= 100 ? 0 : value >= 10 ? 1 : 2
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
}

/** What stands in the first cell of a row without figures. @param {SystemSummary} system */
function noteOf({ absence, failures }) {
  if (absence !== undefined) return absence.note
  return failures.length > 0 ? 'failed' : '-'
}

/**
 * @param {SystemSummary} system
 * @param {{ metrics: string[], processes: string[] }} columns
 */
function formatRow(system, { metrics, processes }) {
  const cells = [system.name, ...(metrics.length === 0 ? [noteOf(system)] : [])]
  for (const [index, name] of metrics.entries()) {
    const metric = system.metrics.find((each) => each.name === name)
    const note = index === 0 ? noteOf(system) : '-'
    cells.push(metric === undefined ? note : formatValue(metric.median))
    cells.push(metric?.ratio === undefined ? '-' : metric.ratio.toFixed(2))
  }
  for (const process of processes) cells.push(formatValue(system.cpuUsPerObject[process] ?? Number.NaN))
  const peaks = processes.map((process) => system.peakRssMiB[process]?.toFixed(0) ?? '-')
  if (processes.length > 0) cells.push(system.metrics.length === 0 ? '-' : peaks.join(' / '))
  return cells
}

/** @param {string[][]} rows The first is the header. */
function alignColumns(rows) {
  const widths = (rows[0] ?? []).map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    return `| ${cells.join(' | ')} |`
  })
  const marks = widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`))
  lines.splice(1, 0, `|${marks.join('|')}|`)
  return lines.join('\n')
}

/** @param {Summary} summary */
function formatRemarks({ systems }) {
  const lines = []
  for (const { name, absence, failures } of systems) {
    if (absence?.reason !== undefined) lines.push(`${name}: ${absence.reason}`)
    for (const failure of failures) lines.push(`${name} failed: ${failure.split('\n')[0]}`)
  }
  return lines.map((line) => `${line}\n`).join('')
}

/**
 * A Markdown table with its columns aligned, good in a terminal and in docs/performance.md.
 * @param {Summary} summary
 */
export function formatTable(summary) {
  const model = summary.systems.find(({ metrics }) => metrics.length > 0) ?? summary.systems[0]
  const metrics = model?.metrics ?? []
  const processes = Object.keys(model?.cpuUsPerObject ?? {})
  const header = ['system', ...(metrics.length === 0 ? ['figures'] : [])]
  for (const { name, unit } of metrics) header.push(unit === '' ? name : `${name} ${unit}`, `x ${summary.limit}`)
  for (const process of processes) header.push(`${process} CPU us`)
  if (processes.length > 0) header.push(`peak MiB: ${processes.join(' / ')}`)
  const columns = { metrics: metrics.map(({ name }) => name), processes }
  const table = alignColumns([header, ...summary.systems.map((system) => formatRow(system, columns))])
  return `${summary.workload}: ${summary.title}\n\n${table}\n${formatRemarks(summary)}`
}
