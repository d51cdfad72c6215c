/**
 * What a person sees while the demo runs: on a terminal one line that is redrawn, elsewhere one line per result.
 *
 * @typedef {object} Progress
 * @property {(text: string) => void} say A line that stays.
 * @property {(worker: string, trial: number) => void} started
 * @property {(report: import('./trainer.js').Report) => void} result
 * @property {(worker: string) => void} killed
 * @property {() => void} end
 *
 * @param {NodeJS.WriteStream} output
 * @param {{ trialsMax: number, workers: string[] }} options
 * @returns {Progress}
 */
export function createProgress(output, { trialsMax, workers }) {
  const startedMs = performance.now()
  /** @type {Map<string, string>} */
  const states = new Map(workers.map((worker) => [worker, '-']))
  let arrived = 0
  let best = 'none yet'

  function seconds() {
    return `${((performance.now() - startedMs) / 1000).toFixed(1)} s`
  }

  function line() {
    const width = 20
    const filled = Math.round((width * arrived) / trialsMax)
    const bar = '█'.repeat(filled) + '░'.repeat(width - filled)
    const busy = workers.map((worker) => `${worker.replace('worker-', 'w')} ${states.get(worker)}`).join('  ')
    return `${bar} ${arrived}/${trialsMax}  best ${best}  ${busy}  ${seconds()}`
  }

  function draw() {
    // A line longer than the terminal would wrap and could not be redrawn.
    if (output.isTTY) output.write(`\r\u001b[2K${line().slice(0, output.columns - 1)}`)
  }

  /** @param {string} text */
  function say(text) {
    output.write(output.isTTY ? `\r\u001b[2K${text}\n` : `${text}\n`)
    draw()
  }

  return {
    say,
    started(worker, trial) {
      states.set(worker, `#${trial}`)
      draw()
    },
    result({ trial, worker, attempt, accuracy, warmStarted, isBest }) {
      arrived += 1
      states.set(worker, '-')
      if (isBest) best = `${percent(accuracy)} (#${trial.id})`
      const remarks = [
        warmStarted && 'from the best model',
        attempt > 1 && `attempt ${attempt}`,
        isBest && 'best so far',
      ]
      const remark = remarks.filter(Boolean).join(', ')
      if (output.isTTY) draw()
      else say(`${seconds()}  trial ${trial.id} by ${worker}: ${percent(accuracy)}${remark && ` (${remark})`}`)
    },
    killed(worker) {
      states.set(worker, '✗')
      draw()
    },
    end() {
      if (output.isTTY) output.write('\r\u001b[2K')
    },
  }
}

/** @param {number} fraction */
export function percent(fraction) {
  return `${(100 * fraction).toFixed(1)} %`
}
