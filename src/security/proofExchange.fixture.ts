import type { ChannelBinding } from './channelProof.ts'
import type { EndpointProof, EndpointStep } from './endpointProof.ts'
import { finishLogin } from './passwordLogin.ts'
import type { ProofMessage, ReceivedMessage } from './proofMessages.ts'
import type { RelayProof, RelayStep } from './relayProof.ts'

/** For tests: passes the frames of the two sides to each other until both are silent, and keeps what went over. */
export interface Exchange {
  readonly frames: readonly ProofMessage[]
  readonly endpoint: EndpointStep['outcome']
  readonly relay: RelayStep['outcome']
}

/** Where a test changes a frame, or leaves it out by returning undefined. */
export type Tamper = (frame: ProofMessage) => ProofMessage | undefined

/** A relay that answers a login as soon as it comes. */
export function receiveAtOnce(relay: RelayProof, message: ReceivedMessage, dateMs = 0): RelayStep {
  const step = relay.receive(message, dateMs)
  return step.queue === true ? relay.answer() : step
}

/** An endpoint that computes whatever is asked for, there and then. */
function receiveAndCompute(endpoint: EndpointProof, message: ReceivedMessage): EndpointStep {
  const step = endpoint.receive(message)
  return step.compute === undefined ? step : endpoint.computed(finishLogin(step.compute))
}

export function runExchange(
  endpointProof: EndpointProof,
  relayProof: RelayProof,
  dateMs = 0,
  tamper: Tamper = (frame) => frame,
): Exchange {
  const frames: ProofMessage[] = []
  let endpoint: EndpointStep['outcome']
  let relay: RelayStep['outcome']
  let toRelay: ProofMessage | undefined = endpointProof.start()
  while (toRelay !== undefined) {
    frames.push(toRelay)
    const arrived = tamper(toRelay)
    if (arrived === undefined) break
    const relayStep: RelayStep = receiveAtOnce(relayProof, arrived, dateMs)
    relay ??= relayStep.outcome
    if (relayStep.send === undefined) break
    frames.push(relayStep.send)
    const answered = tamper(relayStep.send)
    if (answered === undefined) break
    const endpointStep: EndpointStep = receiveAndCompute(endpointProof, answered)
    endpoint ??= endpointStep.outcome
    toRelay = endpointStep.send
  }
  return { frames, endpoint, relay }
}

export function binding(fill: number): ChannelBinding {
  return { type: 'tls-exporter', bytes: new Uint8Array(32).fill(fill) }
}
