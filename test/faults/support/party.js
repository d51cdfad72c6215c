// A process that takes part in a fault test: holds a relay, or endpoints, and does what the test tells it over IPC. What must
// survive its own death stands in a journal, see journal.js.
import { endpointCommands } from './endpointRole.js'
import { relayCommands } from './relayRole.js'

const commands = { ...relayCommands(tell), ...endpointCommands(tell), collect: () => globalThis.gc?.() }

function tell(event, name, value) {
  process.send?.({ event, name, value: plain(value), atMs: Date.now() })
}

/** Errors lose themselves in JSON; and a buffer would be long. */
function plain(value) {
  if (value instanceof Error) return { code: value.code, message: value.message }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, inner instanceof Error ? plain(inner) : inner]),
  )
}

process.on('message', async ({ id, command, argument }) => {
  try {
    process.send?.({ id, value: (await commands[command](argument)) ?? null })
  } catch (error) {
    process.send?.({ id, error: { code: error.code ?? 'NONE', message: `${command}: ${error.stack ?? error}` } })
  }
})

// The test died: so does its party.
process.on('disconnect', () => process.exit(0))
