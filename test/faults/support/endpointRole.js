import { Endpoint } from 'objectrelay'
import { consume } from './consuming.js'
import { Journal } from './journal.js'
import { sendMany } from './sending.js'
import { drain, fill } from './volume.js'

const eventNames = [
  'connecting',
  'connected',
  'reconnecting',
  'disconnected',
  'objectsDropped',
  'blocked',
  'unblocked',
  'sessionLost',
  'error',
]

/** What a process with endpoints can be told; each endpoint has a name. */
export function endpointCommands(tell) {
  const endpoints = new Map()
  const journals = new Map()
  const journalOf = (path) => {
    const journal = journals.get(path) ?? new Journal(path)
    journals.set(path, journal)
    return journal
  }
  const connect = async ({ name, options, quiet = [] }) => {
    const on = Object.fromEntries(
      eventNames.filter((event) => !quiet.includes(event)).map((event) => [event, (value) => tell(event, name, value)]),
    )
    endpoints.set(name, await Endpoint.connect({ ...options, on }))
  }
  return {
    connect,
    connectMany: async ({ names, options, quiet }) => {
      await Promise.all(names.map((name) => connect({ name, options, quiet })))
    },
    send: ({ name, journal, ...order }) =>
      sendMany(endpoints.get(name), { source: name, journal: journalOf(journal), ...order }),
    consume: ({ name, journal, ...order }) =>
      consume(endpoints.get(name), {
        journal: journalOf(journal),
        tell: (event, value) => tell(event, name, value),
        ...order,
      }),
    fill: ({ name, ...order }) => fill(endpoints.get(name), order),
    drain: ({ name, ...order }) => drain(endpoints.get(name), order),
    endpointStats: ({ name }) => endpoints.get(name).stats(),
    stopEndpoint: async ({ name, deadlineMs }) => {
      const { undelivered, deadlineReached } = await endpoints.get(name).stop({ deadlineMs })
      return { undelivered: undelivered.map(({ object }) => object.number), deadlineReached }
    },
    stopMany: async ({ names, deadlineMs }) => {
      await Promise.all(names.map((name) => endpoints.get(name).stop({ deadlineMs })))
    },
  }
}
