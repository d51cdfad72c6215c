import { fileStore, Relay } from 'objectrelay'
import { connectionFromCommandLine } from '../shared/connection.js'

const dir = process.argv[3] ?? 'relay-store'
const relay = await Relay.start({ ...connectionFromCommandLine(), store: fileStore({ dir }) })
const { waiting = 0, leased = 0 } = (await relay.stats()).groups.tasks ?? {}
console.log(`The relay runs. In its store, ${waiting} tasks wait, and ${leased} are being worked on.`)

process.once('SIGTERM', () => void relay.stop())
process.once('SIGINT', () => void relay.stop())
