import { jetstreamDriver } from './jetstream.js'

export const driver = jetstreamDriver('memory')
