// Machine B: node machine-b.js [port] [host]   with the password in OBJECTRELAY_PASSWORD
// Takes the work and sends answers back. `host` is the address of machine A.
import { Endpoint } from 'objectrelay'

const port = Number(process.argv[2] ?? 3000)
const host = process.argv[3] ?? '127.0.0.1'
const password = process.env.OBJECTRELAY_PASSWORD
if (!password) throw new Error('Set OBJECTRELAY_PASSWORD to the same secret on both machines.')

// Keeps trying until the relay is there, for half a minute.
const endpoint = await Endpoint.connect({ host, port, password, groups: 'group_b' })

// Asking for one task at a time shares them fairly, when there are several of these machines.
await endpoint.notify('group_b')
for await (const message of endpoint) {
  if (message.kind === 'goodbye') break
  if (message.kind === 'welcome') {
    console.log(`Welcome, said machine A at ${message.sentAt.toLocaleTimeString()}.`)
    continue
  }
  let sum = 0
  for (const number of message.numbers) sum += number
  await endpoint.produce({ index: message.index, mean: sum / message.numbers.length }, 'group_a')
  console.log(`Did task ${message.index}.`)
  await endpoint.notify('group_b')
}

await endpoint.stop()
