/** @typedef {import('./summary.js').Summary} Summary */
/** @typedef {import('./summary.js').SystemSummary} SystemSummary */

/** @param {number} value */
function formatValue(value) {
  if (!Number.isFinite(value)) return '-'
  const decimals = value >= 100 ? 0 : value >= 10 ? 1 : 2
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
}

/**
 * @param {SystemSummary} system
 * @param {{ metrics: string[], processes: string[] }} columns
 */
function formatRow(system, { metrics, processes }) {
  const cells = [system.name]
  for (const name of metrics) {
    const metric = system.metrics.find((each) => each.name === name)
    cells.push(metric === undefined ? 'failed' : formatValue(metric.median))
    cells.push(metric?.ratio === undefined ? '-' : metric.ratio.toFixed(2))
  }
  for (const process of processes) cells.push(formatValue(system.cpuUsPerObject[process] ?? Number.NaN))
  cells.push(system.relayPeakRssMiB === undefined ? '-' : system.relayPeakRssMiB.toFixed(0))
  return cells
}

/**
 * A Markdown table with its columns aligned, good in a terminal and in docs/performance.md.
 * @param {Summary} summary
 */
export function formatTable(summary) {
  const model = summary.systems.find(({ metrics }) => metrics.length > 0) ?? summary.systems[0]
  const processes = Object.keys(model?.cpuUsPerObject ?? {})
  const metrics = model?.metrics ?? []
  const header = ['system']
  for (const { name, unit } of metrics) header.push(unit === '' ? name : `${name} ${unit}`, 'x raw2')
  for (const process of processes) header.push(`${process} CPU us`)
  header.push('relay peak MiB')
  const columns = { metrics: metrics.map(({ name }) => name), processes }
  const rows = [header, ...summary.systems.map((system) => formatRow(system, columns))]
  const widths = header.map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    return `| ${cells.join(' | ')} |`
  })
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  lines.splice(1, 0, rule)
  const failures = summary.systems.flatMap(({ name, failures }) =>
    failures.map((failure) => `${name} failed: ${failure.split('\n')[0]}\n`),
  )
  return `${summary.workload}: ${summary.title}\n\n${lines.join('\n')}\n${failures.join('')}`
}
