import { jetstreamDriver } from './jetstream.js'

/** Written to files, which the server syncs every two minutes. */
export const driver = jetstreamDriver('file')
