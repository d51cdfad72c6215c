import { describe } from 'vitest'
import { acceptedGroupsContract } from './acceptedGroups.contract.ts'
import { argumentsContract } from './arguments.contract.ts'
import { broadcastsContract } from './broadcasts.contract.ts'
import { deliveriesContract } from './deliveries.contract.ts'
import { destinationsContract } from './destinations.contract.ts'
import { eventsContract } from './events.contract.ts'
import { failuresContract } from './failures.contract.ts'
import { largeObjectsContract } from './largeObjects.contract.ts'
import { lifeContract } from './life.contract.ts'
import { objectsContract } from './objects.contract.ts'
import { processesContract } from './processes.contract.ts'
import { replacingContract } from './replacing.contract.ts'
import { sendRoomContract } from './sendRoom.contract.ts'
import { takingContract } from './taking.contract.ts'
import { workContract } from './work.contract.ts'

/** What an endpoint does, whichever thread its network runs on. */
export function endpointContract(io: 'thread' | 'inline'): void {
  describe(`an endpoint with io: '${io}'`, () => {
    destinationsContract(io)
    argumentsContract(io)
    takingContract(io)
    broadcastsContract(io)
    acceptedGroupsContract(io)
    deliveriesContract(io)
    workContract(io)
    failuresContract(io)
    objectsContract(io)
    largeObjectsContract(io)
    sendRoomContract(io)
    replacingContract(io)
    lifeContract(io)
    eventsContract(io)
    processesContract(io)
  })
}
