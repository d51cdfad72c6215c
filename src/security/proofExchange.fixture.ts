import type { EndpointProof, EndpointStep } from './endpointProof.ts'
import type { ProofMessage } from './proofMessages.ts'
import type { RelayProof, RelayStep } from './relayProof.ts'

/** For tests: passes the frames of the two sides to each other until both are silent, and keeps what went over. */
export interface Exchange {
  readonly frames: readonly ProofMessage[]
  readonly endpoint: EndpointStep['outcome']
  readonly relay: RelayStep['outcome']
}

/** Where a test changes a frame, or leaves it out by returning undefined. */
export type Tamper = (frame: ProofMessage) => ProofMessage | undefined

export function runExchange(
  endpointProof: EndpointProof,
  relayProof: RelayProof,
  nowMs = 0,
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
    const relayStep: RelayStep = relayProof.receive(arrived, nowMs)
    relay ??= relayStep.outcome
    if (relayStep.send === undefined) break
    frames.push(relayStep.send)
    const answered = tamper(relayStep.send)
    if (answered === undefined) break
    const endpointStep: EndpointStep = endpointProof.receive(answered)
    endpoint ??= endpointStep.outcome
    toRelay = endpointStep.send
  }
  return { frames, endpoint, relay }
}

export function binding(fill: number): Uint8Array {
  return new Uint8Array(32).fill(fill)
}
