// Machine A: node machine-a.js [port] [host]   with the password in OBJECTRELAY_PASSWORD
// Runs the relay, and hands out work. `host` is the address to listen on: 0.0.0.0 lets other machines in.
import { setTimeout } from 'node:timers/promises'
import { Endpoint, Relay } from 'objectrelay'

const port = Number(process.argv[2] ?? 3000)
const host = process.argv[3] ?? '127.0.0.1'
const password = process.env.OBJECTRELAY_PASSWORD
if (!password) throw new Error('Set OBJECTRELAY_PASSWORD to the same secret on both machines.')

const relay = await Relay.start({ port, host, password })
const endpoint = await Endpoint.connect({ host: '127.0.0.1', port, password, groups: 'group_a' })
console.log(`The relay listens on ${host}, port ${port}. Now start machine-b.js.`)

// A broadcast goes to every member of a group; who joins later gets the last one.
await endpoint.broadcast({ kind: 'welcome', sentAt: new Date() }, 'group_b')

// What is produced waits in the queue of the group until one of its members asks for it.
const tasks = 5
for (let index = 1; index <= tasks; index += 1) {
  const numbers = Float64Array.from({ length: 1000 }, () => index * Math.random())
  await endpoint.produce({ kind: 'task', index, numbers }, 'group_b')
}

// The answers: asked for all at once, taken as they come.
await endpoint.notify({ group_a: tasks })
for (let count = 0; count < tasks; count += 1) {
  const [answer] = await endpoint.pop({ blocking: true })
  console.log(`Machine B found the mean of task ${answer.index}: ${answer.mean.toFixed(3)}`)
}

// Each send tells how many members the group has now; the relay stays until machine B has left.
while ((await endpoint.broadcast({ kind: 'goodbye' }, 'group_b')).members.group_b > 0) await setTimeout(100)

await endpoint.stop()
await relay.stop()
