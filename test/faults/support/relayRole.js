import { readFileSync } from 'node:fs'
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

/** Memory of this process that is no file's: what it maps of a file, the system takes back when it needs it. */
function anonymousBytes() {
  try {
    const [, kibibytes] = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    if (kibibytes !== undefined) return Number(kibibytes) * 1_024
  } catch {
    // Not on this system.
  }
  return process.memoryUsage.rss()
}

/** What a process with a relay can be told. */
export function relayCommands(tell) {
  let relay
  let watching
  let peakBytes = 0
  return {
    async startRelay({ options }) {
      relay = await Relay.start(options)
      for (const name of eventNames) relay.on(name, (value) => tell(name, 'relay', value))
      return { port: relay.port }
    },
    relayStats: () => relay.stats(),
    stopRelay: ({ deadlineMs }) => relay.stop({ deadlineMs }),
    memory: () => process.memoryUsage(),
    /** From now on, looks how much memory there is. */
    watchMemory: () => {
      peakBytes = anonymousBytes()
      clearInterval(watching)
      watching = setInterval(() => {
        peakBytes = Math.max(peakBytes, anonymousBytes())
      }, 20)
      return peakBytes
    },
    peakBytes: () => Math.max(peakBytes, anonymousBytes()),
  }
}
