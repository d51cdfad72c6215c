import { parentPort } from 'node:worker_threads'
import { toObjectRelayError, toPlainError } from '../errors.ts'
import { type LoginThreadReply, type LoginThreadRequest, runTask } from './loginTask.ts'
import { loadPasswordProof } from './passwordLogin.ts'

// A thread for password stretching, so that no thread that serves connections is busy with it for long.
const port = parentPort
if (port === null) throw new Error('This module is started by loginWorker.ts and by nobody else.')

function answer({ id, task }: LoginThreadRequest): LoginThreadReply {
  try {
    return { id, value: runTask(task) }
  } catch (thrown) {
    return { id, error: toPlainError(toObjectRelayError(thrown, 'PROTOCOL_VIOLATION')) }
  }
}

await loadPasswordProof()
port.on('message', (request: LoginThreadRequest) => port.postMessage(answer(request)))
