import { freePort, password, startProgram } from '../shared/processes.js'

/** Starts a relay, a trainer and three actors, each a process of its own, and ends with the trainer's exit code. */

const port = `${await freePort()}`
const environment = { OBJECTRELAY_PASSWORD: password() }
const start = (/** @type {string} */ file, /** @type {string} */ name, /** @type {string[]} */ ...parameters) =>
  startProgram(name, new URL(file, import.meta.url), [port, name, ...parameters], environment)

// In any order: an endpoint keeps trying until its relay is there.
const actors = ['1', '2', '3'].map((number) => start('actor.js', `actor-${number}`, number))
const trainer = start('trainer.js', 'trainer')
const relay = start('relay.js', 'relay')

setTimeout(() => {
  console.error('FAILED: the example was not over after 55 s.')
  process.exit(1)
}, 55_000).unref()
relay.ended.then(({ code }) => {
  if (code !== 0 && code !== null) process.exit(1)
})

const { code } = await trainer.ended
await Promise.all(actors.map(({ ended }) => ended))
relay.kill('SIGTERM')
await relay.ended
process.exitCode = code ?? 1
