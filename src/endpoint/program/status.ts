import { createError, type ObjectRelayError } from '../../errors.ts'
import type { RelayLimits } from '../../limits.ts'
import type { EndpointState } from '../jsonRecords.ts'
import type { EndpointCondition } from './endpointTypes.ts'

/** Where the endpoint stands, and with it whether calls are possible. */
export class EndpointStatus {
  condition: EndpointCondition = 'connecting'
  /** Counts the sessions at the relay; 0 before the first. */
  epoch = 0
  relayLimits: Partial<RelayLimits> = {}
  /** Why it is not connected. */
  lastError: ObjectRelayError | undefined
  /** The end that was not asked for: refused by the relay, or without I/O. Each call fails with it. */
  failure: ObjectRelayError | undefined
  linksLost = 0
  /** Set by `stop`: nothing is received or asked for any more. */
  receivingClosed = false
  /** Set by `stop` once no handler of `work` runs: nothing is sent any more. */
  sendingClosed = false

  /** Why a call that sends is not possible; `undefined` if it is. */
  get sendingObstacle(): ObjectRelayError | undefined {
    return this.sendingClosed ? stoppedError() : this.failure
  }

  /** Why a call that receives or asks is not possible; `undefined` if it is. */
  get receivingObstacle(): ObjectRelayError | undefined {
    return this.receivingClosed ? stoppedError() : this.failure
  }

  /** Takes over what the I/O reports; returns the error that belongs to it. */
  update(report: EndpointState, error: ObjectRelayError | undefined): void {
    if (report.state === 'reconnecting' && this.condition === 'connected') this.linksLost++
    if (this.condition !== 'stopping' && this.condition !== 'stopped') this.condition = report.state
    if (report.state === 'connected') {
      this.epoch = report.epoch
      this.relayLimits = report.relayLimits ?? {}
      this.lastError = undefined
      return
    }
    this.lastError = error ?? this.lastError
    if (report.state === 'disconnected') this.failure = this.lastError
  }
}

function stoppedError(): ObjectRelayError {
  return createError('STOPPED', 'The endpoint was stopped; make a new one to go on.')
}
