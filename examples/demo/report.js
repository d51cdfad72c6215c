import { accuracyChart, escapeHtml, hyperparameterChart, workerChart } from './charts.js'
import { percent } from './progress.js'
import { hyperparameterNames, space } from './search.js'

/**
 * The page that shows a run: one file, nothing loaded from anywhere.
 *
 * @param {import('./charts.js').Run} run
 * @returns {string}
 */
export function createReport(run) {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>objectrelay: a hyperparameter search</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>A hyperparameter search over objectrelay</h1>
<p>One trainer and ${run.workers.length} workers, each a process of its own, looked together for the best way to train
a small neural network on handwritten digits. All that they told each other went through a relay.</p>
</header>
${tiles(run)}
<section><h2>Every trial</h2>
${legend(run)}
${accuracyChart(run)}
<p class="note">Validation accuracy when the result came in. The axis is logarithmic in the error. Point at a mark for its
hyperparameters.</p></section>
<section><h2>Who worked on what</h2>
${workerChart(run)}
<p class="note">${killSentence(run)}</p></section>
<section><h2>What mattered</h2>
<div class="panels">${rankedHyperparameters(run)
    .map((entry) => panel(run, entry))
    .join('\n')}</div>
<p class="note">Rank correlation of each hyperparameter with the accuracy of the trials that began from random weights; far
from zero means that it mattered, though not why.</p></section>
<section><h2>The ten best trials</h2>
${bestTable(run)}</section>
</body>
</html>
`
}

/** @param {import('./charts.js').Run} run */
function tiles({ trials, summary, totalMs, kill }) {
  const busyMs = trials.reduce((sum, { trainingMs }) => sum + trainingMs, 0)
  const entries = [
    [percent(summary.testAccuracy), 'of digits that played no part in the search are read rightly by the best model'],
    [`${summary.arrived} of ${summary.proposed}`, `trials came in, ${summary.duplicates} of them twice`],
    [`${(totalMs / 1000).toFixed(1)} s`, `for ${(busyMs / 1000).toFixed(1)} s of training`],
    [kill ? '1' : '0', 'worker killed on purpose while it held a trial'],
  ]
  const items = entries.map(([value, label]) => `<li><strong>${value}</strong><span>${label}</span></li>`)
  return `<ul class="tiles">${items.join('')}</ul>`
}

/** @param {import('./charts.js').Run} run */
function legend({ workers }) {
  const mark = (/** @type {string} */ kind) =>
    `<svg class="mark" viewBox="0 0 14 14" aria-hidden="true"><g class="${kind}"><circle cx="7" cy="7" r="5"/></g></svg>`
  const names = workers.map((worker, index) => `<li>${mark(`dot worker-${index + 1}`)}${escapeHtml(worker)}</li>`)
  const line = '<svg class="mark" viewBox="0 0 14 14" aria-hidden="true"><path class="best" d="M0 7H14"/></svg>'
  const kinds = `<li>${mark('dot')}from random weights</li><li>${mark('ring')}from the best model</li><li>${line}best so far</li>`
  return `<ul class="legend">${names.join('')}${kinds}</ul>`
}

/** @param {import('./charts.js').Run} run */
function killSentence({ kill }) {
  if (kill === undefined) return 'No worker was killed.'
  const beginning = `${escapeHtml(kill.worker)} was ended by force (SIGKILL) while it held trial ${kill.trial}.`
  if (kill.takenOver === undefined) return `${beginning} Nobody else was given it.`
  const { worker, attempt, startedMs } = kill.takenOver
  const waitedMs = Math.round(startedMs - kill.killedMs)
  return `${beginning} The relay gave it to ${escapeHtml(worker)}, as attempt ${attempt}, which began it ${waitedMs} ms later.`
}

/**
 * @param {number[]} values
 * @returns {number[]} The rank of each; equal values share the mean of their ranks.
 */
function ranks(values) {
  return values.map((value) => {
    const lower = values.filter((other) => other < value).length
    const equal = values.filter((other) => other === value).length
    return lower + (equal - 1) / 2
  })
}

/** @param {number[]} first @param {number[]} second Spearman's rank correlation; 0 when one of them does not vary. */
export function rankCorrelation(first, second) {
  const center = (first.length - 1) / 2
  const [left, right] = [ranks(first), ranks(second)].map((list) => list.map((rank) => rank - center))
  const product = (/** @type {number[]} */ one, /** @type {number[]} */ other) =>
    one.reduce((sum, value, index) => sum + value * other[index], 0)
  const scale = Math.sqrt(product(left, left) * product(right, right))
  return scale === 0 ? 0 : product(left, right) / scale
}

/** @param {import('./charts.js').Run} run */
function rankedHyperparameters({ trials }) {
  const fresh = trials.filter(({ warmStarted }) => !warmStarted)
  const accuracies = fresh.map(({ accuracy }) => accuracy)
  return hyperparameterNames
    .map((name) => {
      const values = fresh.map(({ trial }) => trial.hyperparameters[name])
      return { name, correlation: rankCorrelation(values, accuracies) }
    })
    .sort((first, second) => Math.abs(second.correlation) - Math.abs(first.correlation))
}

/**
 * @param {import('./charts.js').Run} run
 * @param {{ name: keyof import('./search.js').Hyperparameters, correlation: number }} entry
 */
function panel(run, { name, correlation }) {
  const bar = `<span class="meter"><span style="width:${(100 * Math.abs(correlation)).toFixed(0)}%"></span></span>`
  const sign = correlation < 0 ? '−' : '+'
  const scale = space[name].logarithmic ? ', logarithmic' : ''
  return `<figure><figcaption><b>${title(name)}</b>${scale}${bar}${sign}${Math.abs(correlation).toFixed(2)}</figcaption>
${hyperparameterChart(run, name)}</figure>`
}

/** @param {string} name */
function title(name) {
  return name === 'l2' ? 'L2' : name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

/** @param {import('./charts.js').Run} run */
function bestTable({ trials }) {
  const best = [...trials].sort((first, second) => second.accuracy - first.accuracy).slice(0, 10)
  const headings = ['trial', 'accuracy', 'worker', 'start', ...hyperparameterNames.map(title), 'trained in']
  const rows = best.map(({ trial, accuracy, worker, warmStarted, trainingMs }) => {
    const values = hyperparameterNames.map((name) => `${Number(trial.hyperparameters[name].toPrecision(3))}`)
    const start = warmStarted ? 'best model' : 'random'
    const cells = [`${trial.id}`, percent(accuracy), worker, start, ...values, `${Math.round(trainingMs)} ms`]
    return `<tr>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`
  })
  const head = headings.map((heading) => `<th scope="col">${heading}</th>`).join('')
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`
}

const style = `
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1c2430; --soft: #5d6878; --rule: #e1e5ea;
  --one: #2f6fde; --two: #d9731a; --three: #14916f; --four: #b04ac0; --line: #8a94a3; --alarm: #d0283c; }
@media (prefers-color-scheme: dark) { :root { --page: #11151b; --card: #1a2029; --text: #e6eaf0; --soft: #98a3b3; --rule: #2c3540;
  --one: #6ea3ff; --two: #ff9f52; --three: #3fcba2; --four: #dc8bea; --line: #7d8999; --alarm: #ff6b7a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1040px; padding: 32px 20px 64px; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; letter-spacing: -.01em; } h2 { font-size: 17px; margin: 0 0 10px; }
header p, .note { color: var(--soft); max-width: 72ch; margin: 0; } .note { font-size: 13px; margin-top: 8px; }
section, .tiles li { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
section { padding: 18px 20px; margin-top: 18px; }
.tiles { list-style: none; padding: 0; margin: 20px 0 0; display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); }
.tiles li { padding: 14px 18px; } .tiles strong { display: block; font-size: 26px; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); font-size: 13px; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 0; margin: 0 0 6px; font-size: 13px; color: var(--soft); }
.mark { width: 14px; height: 14px; vertical-align: -2px; margin-right: 6px; }
svg { display: block; width: 100%; height: auto; } .mark { display: inline; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); text-anchor: middle; }
svg .label { text-anchor: end; } svg .first { text-anchor: start; }
.worker-1 { color: var(--one); } .worker-2 { color: var(--two); } .worker-3 { color: var(--three); } .worker-4 { color: var(--four); }
.grid { stroke: var(--rule); fill: none; } .best { stroke: var(--line); stroke-width: 2; fill: none; }
.dot circle { fill: currentColor; stroke: var(--card); } .ring circle { fill: var(--card); stroke: currentColor; stroke-width: 2.2; }
.dot .again, .ring .again { fill: none; stroke: var(--alarm); stroke-width: 1.5; }
.kill, .takeover { stroke: var(--alarm); stroke-width: 1.5; stroke-dasharray: 4 4; fill: none; }
svg .cross { fill: var(--alarm); font-weight: 600; text-anchor: start; }
.bar rect { fill: currentColor; opacity: .85; } svg .bar text { fill: var(--card); font-size: 11px; }
.bar.repeated rect { stroke: var(--alarm); stroke-width: 2.5; opacity: 1; } .bar.killed rect { fill: var(--alarm); }
.panels { display: grid; gap: 14px 20px; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); }
figure { margin: 0; } figcaption { font-size: 13px; color: var(--soft); display: flex; align-items: center; gap: 2px; }
figcaption b { color: var(--text); font-weight: 600; } figcaption b::first-letter { text-transform: uppercase; }
.meter { width: 60px; height: 6px; border-radius: 3px; background: var(--rule); margin: 0 8px 0 auto; overflow: hidden; }
.meter span { display: block; height: 100%; background: var(--one); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; } th:nth-child(3), td:nth-child(3), th:nth-child(4), td:nth-child(4) { text-align: left; }
tbody tr:first-child td { font-weight: 600; }
`
