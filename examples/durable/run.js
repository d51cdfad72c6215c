// node run.js
// Kills its own relay, as a power cut would, while tasks are sent and while they are worked on. Nothing is lost or done twice.
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Endpoint } from 'objectrelay'
import { freePort, password as ownPassword, startProgram } from '../shared/processes.js'

const tasks = 2_000
const port = await freePort()
const password = ownPassword()
const dir = await mkdtemp(join(tmpdir(), 'objectrelay-durable-'))
process.on('exit', () => rmSync(dir, { recursive: true, force: true }))
setTimeout(() => {
  console.error('FAILED: the example was not over after 55 s.')
  process.exit(1)
}, 55_000).unref()

const startRelay = () =>
  startProgram('relay', new URL('relay.js', import.meta.url), [`${port}`, dir], { OBJECTRELAY_PASSWORD: password })
let relay = startRelay()

/** @param {string} when */
async function killRelay(when) {
  relay.kill('SIGKILL')
  await relay.ended
  console.log(`The relay was killed ${when}.`)
  relay = startRelay()
}

// The sender notices nothing but promises that take a little longer.
const sender = await Endpoint.connect({ host: '127.0.0.1', port, password })
let accepted = 0
const sending = (async () => {
  for (let id = 1; id <= tasks; id += 1) {
    void sender.produce({ id }, 'tasks').then(() => (accepted += 1))
    if (id % 10 === 0) await pause(5)
  }
})()
while (accepted < tasks / 4) await pause(1)
await killRelay(`when it had accepted ${accepted} of ${tasks} tasks`)
await sending
await sender.stop()

// Nor does the worker: the tasks that it works on remain its own.
/** @type {Map<number, number>} */
const timesDone = new Map()
const worker = await Endpoint.connect({ host: '127.0.0.1', port, password, groups: 'tasks' })
const work = worker.work(
  'tasks',
  async (task) => {
    const { id } = /** @type {{ id: number }} */ (task)
    await pause(10)
    timesDone.set(id, (timesDone.get(id) ?? 0) + 1)
  },
  { concurrency: 10 },
)
while (timesDone.size < tasks / 4) await pause(1)
await killRelay(`when ${timesDone.size} of ${tasks} tasks were done`)
while (timesDone.size < tasks) await pause(5)
await work.stop()
await worker.stop()

relay.kill('SIGTERM')
await relay.ended
const doneTwice = [...timesDone.values()].filter((times) => times > 1).length
console.log(`${accepted} tasks were accepted, ${timesDone.size} were done, and ${doneTwice} of them twice.`)
if (accepted !== tasks || timesDone.size !== tasks || doneTwice > 0) process.exitCode = 1
