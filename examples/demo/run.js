import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Endpoint } from 'objectrelay'
import { freePort, password as givenPassword, startProgram } from '../shared/processes.js'
import { createProgress, percent } from './progress.js'
import { createReport } from './report.js'

/**
 * Starts a relay, a trainer and four workers, each a process of its own; watches them through the library, as one more
 * endpoint; kills one worker while it holds a trial; checks that every trial came in exactly once.
 *
 * @typedef {{ trial: number, worker: string, attempt: number, startedMs: number }} Start
 * @typedef {import('./trainer.js').Report & { finishedMs: number }} FinishedTrial
 * @typedef {{ worker: string, trial: number, killedMs: number, takenOver?: Start }} Kill
 * @typedef {{ kind: 'started', worker: string, trial: number, attempt: number }} Started
 */

const trialsMax = Number(process.env.DEMO_TRIALS ?? 48)
/** A slow machine gets fewer trials, not more time: after this, no more are proposed. */
const proposingMs = 1000 * Number(process.env.DEMO_SECONDS ?? 30)
const deadlineMs = proposingMs + 25_000
const accuracyMin = 0.9
const reportFile = process.env.DEMO_REPORT ?? fileURLToPath(new URL('report.html', import.meta.url))
const workerNames = ['worker-1', 'worker-2', 'worker-3', 'worker-4']

if (!Number.isInteger(trialsMax) || trialsMax < 8 || !(proposingMs > 0)) {
  console.error('DEMO_TRIALS must be a whole number from 8, DEMO_SECONDS a number above 0.')
  process.exit(2)
}

const port = await freePort()
const password = givenPassword()
const environment = { OBJECTRELAY_PASSWORD: password }
const relay = startProgram('relay', new URL('relay.js', import.meta.url), [`${port}`], environment)
const watcher = await Endpoint.connect({ host: '127.0.0.1', port, password, groups: 'watchers' })

const startedMs = performance.now()
const trainerParameters = [`${port}`, `${trialsMax}`, `${proposingMs}`]
const trainer = startProgram('trainer', new URL('trainer.js', import.meta.url), trainerParameters, environment)
const workers = workerNames.map((name) =>
  startProgram(name, new URL('worker.js', import.meta.url), [`${port}`, name], environment),
)

const progress = createProgress(process.stdout, { trialsMax, workers: workerNames })
progress.say(
  `Searching with ${workers.length} workers, at most ${trialsMax} trials, through the relay on port ${port}.`,
)

/** @type {Start[]} */
const starts = []
/** @type {FinishedTrial[]} */
const finished = []
/** @type {Kill | undefined} */
let kill
let ending = false

for (const program of [relay, trainer, ...workers]) {
  program.ended.then(({ code, signal }) => {
    if (!ending && program.name !== kill?.worker && code !== 0) fail(`${program.name} ended early (${code ?? signal}).`)
  })
}
setTimeout(() => fail(`The search was not over after ${deadlineMs / 1000} s.`), deadlineMs).unref()

/** @param {string} reason */
function fail(reason) {
  progress.end()
  console.error(`FAILED: ${reason}`)
  process.exit(1)
}

/** @param {Started} message */
function onStarted({ worker, trial, attempt }) {
  const start = { worker, trial, attempt, startedMs: performance.now() - startedMs }
  starts.push(start)
  progress.started(worker, trial)
  // On a slow machine by time, or a third of all trials might never come.
  const isMidway = finished.length >= trialsMax / 3 || start.startedMs > proposingMs / 3
  if (kill === undefined && isMidway) {
    workers.find(({ name }) => name === worker)?.kill('SIGKILL')
    kill = { worker, trial, killedMs: start.startedMs }
    progress.killed(worker)
    progress.say(`✗ Killed ${worker} (SIGKILL) while it holds trial ${trial}.`)
  } else if (kill !== undefined && kill.takenOver === undefined && trial === kill.trial && worker !== kill.worker) {
    kill.takenOver = start
    const waitedMs = Math.round(start.startedMs - kill.killedMs)
    progress.say(`✓ Trial ${trial} was given to ${worker} (attempt ${attempt}) ${waitedMs} ms later.`)
  }
}

/** @returns {Promise<import('./trainer.js').Summary>} */
async function watch() {
  await watcher.notify('watchers')
  for await (const received of watcher) {
    const message = /** @type {Started | import('./trainer.js').Report | import('./trainer.js').Summary} */ (received)
    if (message.kind === 'summary') return message
    if (message.kind === 'started') onStarted(message)
    if (message.kind === 'result') {
      finished.push({ ...message, finishedMs: performance.now() - startedMs })
      progress.result(message)
    }
  }
  throw new Error('The watcher was stopped before the search was over.')
}

/**
 * What is wrong with the run, in sentences; none if all is well.
 *
 * @param {import('./trainer.js').Summary} summary
 */
function findFaults({ proposed, arrived, duplicates, testAccuracy }) {
  const faults = []
  if (arrived !== proposed) faults.push(`${proposed - arrived} of ${proposed} trials were lost.`)
  if (duplicates > 0) faults.push(`${duplicates} results came in twice.`)
  if (kill === undefined) faults.push('No worker was killed.')
  else if (kill.takenOver === undefined) faults.push(`Trial ${kill.trial} of the killed worker was given to nobody.`)
  else if (kill.takenOver.attempt < 2) faults.push('The trial that was given again does not say so.')
  if (testAccuracy <= accuracyMin) faults.push(`The accuracy of ${percent(testAccuracy)} is too low.`)
  return faults
}

const summary = await watch()
ending = true
const totalMs = performance.now() - startedMs
await watcher.stop()
const endings = await Promise.all([trainer, ...workers].map(({ ended }) => ended))
relay.kill('SIGTERM')
await relay.ended

const faults = findFaults(summary)
if (endings.filter(({ code }) => code === 0).length !== workers.length) faults.push('A program did not end well.')
await writeFile(reportFile, createReport({ trials: finished, starts, kill, summary, totalMs, workers: workerNames }))

progress.end()
const { arrived, proposed, bestTrial, testAccuracy } = summary
console.log(`${arrived} of ${proposed} trials came in, each once, in ${(totalMs / 1000).toFixed(1)} s.`)
console.log(`Best: trial ${bestTrial}, accuracy on held-out digits ${percent(testAccuracy)}.`)
console.log(`Plot of all trials: ${reportFile}`)
for (const fault of faults) console.error(`FAILED: ${fault}`)
// The relay, like every program that was started, has ended; so has the connection.
process.exitCode = faults.length === 0 ? 0 : 1
