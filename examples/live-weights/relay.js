import { Relay } from 'objectrelay'
import { connectionFromCommandLine } from '../shared/connection.js'

const relay = await Relay.start({ ...connectionFromCommandLine(), acceptedGroups: { actors: {}, trainers: {} } })

process.once('SIGTERM', () => void relay.stop())
process.once('SIGINT', () => void relay.stop())
