import { Relay } from 'objectrelay'

const eventNames = [
  'endpointConnected',
  'endpointLost',
  'endpointLeft',
  'endpointRefused',
  'objectDropped',
  'warning',
  'error',
]

/** What a process with a relay can be told. */
export function relayCommands(tell) {
  let relay
  return {
    async startRelay({ options }) {
      relay = await Relay.start(options)
      for (const name of eventNames) relay.on(name, (value) => tell(name, 'relay', value))
      return { port: relay.port }
    },
    relayStats: () => relay.stats(),
    stopRelay: ({ deadlineMs }) => relay.stop({ deadlineMs }),
    memory: () => process.memoryUsage(),
  }
}
