import { Relay } from 'objectrelay'
import { connectionFromCommandLine } from '../shared/connection.js'

// The centre: everything that the trainer and its workers tell each other goes through here.
const relay = await Relay.start({
  ...connectionFromCommandLine(),
  acceptedGroups: { trainers: { maxCount: 1 }, workers: {}, watchers: {} },
  // A worker that is killed is noticed at once, because its connection closes; one whose cable is cut, after this.
  limits: { heartbeatMs: 1_000, sessionGraceMs: 2_000 },
})

process.once('SIGTERM', () => void relay.stop())
// Ctrl-C reaches every program of the terminal; the one that started this one ends it.
process.once('SIGINT', () => void relay.stop())
