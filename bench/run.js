// The benchmark: `npm run bench -- W1 W2 --io both --runs 3`. What is measured and how to read it: docs/performance.md.
import { writeFileSync } from 'node:fs'
import { readArguments, usage } from './arguments.js'
import { measureGrowth } from './growth.js'
import { installDependencies } from './harness/install.js'
import { measureOnce } from './harness/session.js'
import { absenceOf, systemsFor } from './harness/systems.js'
import { formatJson } from './report/json.js'
import { describeMachine } from './report/machine.js'
import { summarize } from './report/summary.js'
import { formatTable } from './report/table.js'
import { findWorkload } from './workloads/catalogue.js'

/** @typedef {import('./harness/types.js').Outcome} Outcome */

/**
 * Runs a workload under every system in turn, A B A B, so that a change in the machine's load meets all of them.
 * @param {ReturnType<typeof readArguments>} options
 * @param {string} name
 */
async function measureWorkload(options, name) {
  const workload = await findWorkload(name)
  const systems = []
  /** @type {Map<string, { note: string, reason?: string }>} */
  const absences = new Map()
  for (const system of systemsFor(workload, options)) {
    const absence = await absenceOf(workload, system)
    if (absence === undefined) systems.push(system)
    else absences.set(system.name, absence)
  }
  /** @type {Map<string, Outcome[]>} */
  const outcomes = new Map(systems.map((system) => [system.name, []]))
  for (let run = 1; run <= options.runs; run++) {
    for (const system of systems) {
      process.stderr.write(`${name} ${system.name}, run ${run} of ${options.runs} ... `)
      const outcome = await measureOnce({ workload, system, scale: options.scale, timeoutMs: options.timeoutMs })
      process.stderr.write(
        outcome.failure === undefined
          ? `${outcome.metrics[0]?.value.toPrecision(4)}\n`
          : `failed: ${outcome.failure}\n`,
      )
      outcomes.get(system.name)?.push(outcome)
    }
  }
  return summarize(workload, { outcomes, absences, scale: options.scale })
}

async function main() {
  // To leave as at any other end lets the processes of a run and its folder go too.
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
    process.once(signal, () => process.exit(130))
  const options = readArguments(process.argv.slice(2))
  if (options.help) return void process.stdout.write(usage)
  installDependencies()
  const machine = describeMachine()
  process.stdout.write(`${machine.line}\n`)
  if (options.scale !== 1) process.stdout.write(`scale ${options.scale}: a trial, not the workload as it is defined\n`)
  let isComplete = true
  for (const name of options.growths) isComplete = (await measureGrowth(name, options)) && isComplete
  const summaries = []
  for (const name of options.workloads) {
    const summary = await measureWorkload(options, name)
    summaries.push(summary)
    process.stdout.write(`\n${formatTable(summary)}`)
  }
  if (options.json !== undefined) {
    const { runs, scale } = options
    writeFileSync(options.json, formatJson({ machine, runs, scale, summaries }))
  }
  if (summaries.some((summary) => summary.systems.some((system) => system.failures.length > 0))) isComplete = false
  if (!isComplete) process.exitCode = 1
}

main().catch((error) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 2
})
