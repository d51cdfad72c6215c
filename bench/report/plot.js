import { formatTick, linearScale, logScale } from './scale.js'

/** @typedef {{ label: string, unit?: string, isLog: boolean }} Axis */
/** `colour` is one of six, for a system that is to look the same in several plots. @typedef {{ name: string, points: [x: number, y: number][], colour?: number }} Series */
/** @typedef {{ title: string, x: Axis, y: Axis, series: Series[] }} Plot */

const width = 720
/** Without the names of the systems. */
const plotHeight = 396
const legend = { perRow: 4, columnWidth: 152, rowHeight: 24 }
const area = { left: 84, top: 56, right: 696, bottom: 346 }
const colourCount = 6

/** The colours of a page in its light and in its dark form; the viewer's preference decides, also within an `<img>`. */
const style = `
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .paper { fill: #ffffff }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .axis { stroke: #59636e; stroke-width: 1 }
  .s0 { stroke: #0969da; fill: #0969da } .s1 { stroke: #bc4c00; fill: #bc4c00 } .s2 { stroke: #1a7f37; fill: #1a7f37 }
  .s3 { stroke: #8250df; fill: #8250df } .s4 { stroke: #bf3989; fill: #bf3989 } .s5 { stroke: #7d4e00; fill: #7d4e00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .paper { fill: #0d1117 }
    .grid { stroke: #30363d }
    .axis { stroke: #9198a1 }
    .s0 { stroke: #58a6ff; fill: #58a6ff } .s1 { stroke: #f0883e; fill: #f0883e } .s2 { stroke: #3fb950; fill: #3fb950 }
    .s3 { stroke: #bc8cff; fill: #bc8cff } .s4 { stroke: #f778ba; fill: #f778ba } .s5 { stroke: #d29922; fill: #d29922 }
  }
  /* Behind the colours, which fill the points. */
  .line { fill: none; stroke-width: 2; stroke-linejoin: round }`

/** @param {string} text */
function escapeText(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10
}

/**
 * @param {Axis} axis
 * @param {number[]} values
 */
function scaleOf({ isLog }, values) {
  return isLog ? logScale(values) : linearScale(values)
}

/**
 * @param {Plot} plot
 * @param {import('./scale.js').Scale} x
 * @param {import('./scale.js').Scale} y
 */
function drawAxes(plot, x, y) {
  const parts = []
  for (const tick of x.ticks) {
    const at = round(xAt(x, tick))
    parts.push(`<path class="grid" d="M${at} ${area.top}V${area.bottom}"/>`)
    const label = escapeText(formatTick(tick, plot.x.unit ?? ''))
    parts.push(`<text x="${at}" y="${area.bottom + 20}" text-anchor="middle">${label}</text>`)
  }
  for (const tick of y.ticks) {
    const at = round(yAt(y, tick))
    parts.push(`<path class="grid" d="M${area.left} ${at}H${area.right}"/>`)
    const label = escapeText(formatTick(tick, plot.y.unit ?? ''))
    parts.push(`<text x="${area.left - 8}" y="${at + 4}" text-anchor="end">${label}</text>`)
  }
  parts.push(`<path class="axis" fill="none" d="M${area.left} ${area.top}V${area.bottom}H${area.right}"/>`)
  const middle = (area.left + area.right) / 2
  parts.push(`<text x="${middle}" y="${area.bottom + 42}" text-anchor="middle">${escapeText(plot.x.label)}</text>`)
  const half = (area.top + area.bottom) / 2
  const turned = `transform="rotate(-90 20 ${half})"`
  parts.push(`<text x="20" y="${half}" text-anchor="middle" ${turned}>${escapeText(plot.y.label)}</text>`)
  return parts
}

/**
 * @param {import('./scale.js').Scale} scale
 * @param {number} value
 */
function xAt(scale, value) {
  return area.left + scale.place(value) * (area.right - area.left)
}

/**
 * @param {import('./scale.js').Scale} scale
 * @param {number} value
 */
function yAt(scale, value) {
  return area.bottom - scale.place(value) * (area.bottom - area.top)
}

/**
 * A line with its points, and its name below the plot.
 * @param {Series} series
 * @param {number} index Its place among the names.
 * @param {import('./scale.js').Scale} x
 * @param {import('./scale.js').Scale} y
 */
function drawSeries(series, index, x, y) {
  const { name, points } = series
  const colour = `s${(series.colour ?? index) % colourCount}`
  const places = points.map((point) => [round(xAt(x, point[0])), round(yAt(y, point[1]))])
  const path = places.map(([across, down], step) => `${step === 0 ? 'M' : 'L'}${across} ${down}`).join('')
  const dots = places.map(([across, down]) => `<circle class="${colour}" cx="${across}" cy="${down}" r="3.5"/>`)
  const left = area.left + (index % legend.perRow) * legend.columnWidth
  const middle = plotHeight + Math.floor(index / legend.perRow) * legend.rowHeight + 8
  const label = [
    `<path class="line ${colour}" d="M${left} ${middle}h24"/>`,
    `<circle class="${colour}" cx="${left + 12}" cy="${middle}" r="3.5"/>`,
    `<text x="${left + 32}" y="${middle + 4}">${escapeText(name)}</text>`,
  ]
  return [`<path class="line ${colour}" d="${path}"/>`, ...dots, ...label]
}

/**
 * Draws a plot as SVG, legible on light and on dark pages. On a logarithmic axis what is not above 0 has no place and
 * is left out.
 * @param {Plot} plot
 */
export function plotSvg(plot) {
  const fits = (/** @type {Axis} */ axis, /** @type {number} */ value) =>
    Number.isFinite(value) && (axis.isLog ? value > 0 : value >= 0)
  const series = plot.series.map(({ points, ...rest }) => ({
    ...rest,
    points: points.filter((point) => fits(plot.x, point[0]) && fits(plot.y, point[1])),
  }))
  const all = series.flatMap(({ points }) => points)
  if (all.length === 0) throw new Error(`the plot "${plot.title}" has no points`)
  const x = scaleOf(
    plot.x,
    all.map((point) => point[0]),
  )
  const y = scaleOf(
    plot.y,
    all.map((point) => point[1]),
  )
  const height = plotHeight + Math.ceil(series.length / legend.perRow) * legend.rowHeight
  const body = [
    `<rect class="paper" width="${width}" height="${height}" rx="6"/>`,
    `<text class="title" x="${area.left}" y="32">${escapeText(plot.title)}</text>`,
    ...drawAxes(plot, x, y),
    ...series.flatMap((each, index) => drawSeries(each, index, x, y)),
  ]
  const root = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`
  return `${root}\n<title>${escapeText(plot.title)}</title>\n<style>${style}\n</style>\n${body.join('\n')}\n</svg>\n`
}
