import { parentPort, workerData } from 'node:worker_threads'
import { toObjectRelayError, toPlainError } from '../errors.ts'
import { EventWindow } from './eventWindow.ts'
import { openRelay } from './openRelay.ts'
import type { RelayReply, RelayRequest } from './relayMessages.ts'
import type { CheckedRelayOptions } from './relayOptions.ts'

// The thread of one relay: owns its sockets, its queues and its store.
const options = workerData as CheckedRelayOptions // relay.ts gives exactly this
const port = parentPort
if (port === null) throw new Error('This module is started by Relay.start and by nobody else.')
const reply = (message: RelayReply) => port.postMessage(message)

try {
  const events = new EventWindow((event) => reply({ kind: 'event', event }))
  const server = await openRelay(options, (event) => events.emit(event))
  const reloadKeys = async (id: number) => {
    try {
      reply({ kind: 'answer', id, value: await server.reloadKeys() })
    } catch (thrown) {
      reply({ kind: 'refusal', id, error: toPlainError(toObjectRelayError(thrown, 'KEY_INVALID')) })
    }
  }
  port.on('message', async (request: RelayRequest) => {
    if (request.kind === 'heard') events.heard(request.count)
    else if (request.kind === 'stats') reply({ kind: 'answer', id: request.id, value: server.stats() })
    else if (request.kind === 'reloadKeys') await reloadKeys(request.id)
    else {
      reply({ kind: 'answer', id: request.id, value: await server.stop(request.deadlineMs) })
      port.close()
    }
  })
  reply({ kind: 'started', port: server.port, address: server.address, fingerprint256: server.fingerprint256 })
} catch (thrown) {
  reply({ kind: 'failed', error: toPlainError(toObjectRelayError(thrown, 'CANNOT_LISTEN')) })
}
