import { toPlainError } from '../errors.ts'
import type { Listeners } from '../events.ts'
import type { Relay } from '../relay/relay.ts'
import type { RelayEvents } from '../relay/relayEvents.ts'
import type { RelayStopResult } from '../relay/relayStats.ts'
import { inCommandWords } from './commandWords.ts'
import { describePlainError, type Output, printable } from './output.ts'

/** Groups that the last line names one by one. */
const namedGroupsMax = 20

/** The log of a relay on standard output: text for people, or with `--json` one object per line. */
export class RelayLog {
  readonly #output: Output

  constructor(output: Output) {
    this.#output = output
  }

  /** For `Relay.start`, so that no event is missed. */
  get listeners(): Listeners<RelayEvents> {
    return {
      endpointConnected: (value) => {
        const { name, endpoint, peer, agent, groups, resumed } = value
        const members = groups.length === 0 ? 'no group' : groups.join(', ')
        this.#event(
          'endpointConnected',
          value,
          `${name} (${endpoint}) ${resumed ? 'is back' : 'connected'} from ${peer} (${agent}), member of ${members}`,
        )
      },
      endpointLost: (value) =>
        this.#event(
          'endpointLost',
          value,
          `${value.name} (${value.endpoint}) lost its link from ${value.peer}: ${describePlainError(value.error)}`,
        ),
      endpointLeft: (value) =>
        this.#event('endpointLeft', value, `${value.name} (${value.endpoint}) left: ${value.reason}`),
      endpointRefused: (value) => {
        const others = value.suppressed > 0 ? `, and ${value.suppressed} others before` : ''
        this.#event(
          'endpointRefused',
          value,
          `${value.name === undefined ? value.peer : `${value.name} (${value.endpoint}) from ${value.peer}`} was refused: ${describePlainError(value.error)}${others}`,
        )
      },
      objectDropped: (value) =>
        this.#event(
          'objectDropped',
          value,
          `${value.count} of ${value.group} dropped (${value.kind}): ${value.reason}`,
        ),
      objectDead: (value) =>
        this.#event(
          'objectDead',
          value,
          `${value.count} of ${value.group} dead after ${value.attempts} attempts, at ${value.name || value.endpoint}: ${value.error?.message === undefined ? value.reason : JSON.stringify(value.error.message)}`,
        ),
      leasesRevoked: (value) =>
        this.#event(
          'leasesRevoked',
          value,
          `${value.name} (${value.endpoint}) took nothing: ${value.count} objects given to others`,
        ),
      certificateChanged: (value) =>
        this.#event(
          'certificateChanged',
          { ...value, validTo: new Date(value.validTo).toISOString() },
          `new connections get another certificate, valid until ${new Date(value.validTo).toISOString()}, fingerprint ${value.fingerprint256}`,
        ),
      warning: ({ code, message }) => {
        const worded = { code, message: inCommandWords(message) }
        this.#event('warning', worded, `warning: ${worded.message}`)
      },
      error: (failure) => {
        const error = toPlainError(failure)
        this.#event('error', { error }, `error: ${describePlainError(error)}`)
      },
    }
  }

  /** The first line, which scripts read the port from. */
  listening({ address, port, fingerprint256 }: Pick<Relay, 'address' | 'port' | 'fingerprint256'>): void {
    const where = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
    const fields = { address, port, security: fingerprint256 === undefined ? 'none' : 'TLS', fingerprint256 }
    this.#event('listening', fields, `listening on ${where}`)
    if (fingerprint256 !== undefined && !this.#output.json) {
      this.#line(`certificate's SHA-256 fingerprint: ${fingerprint256}`)
    }
  }

  /** SIGHUP was obeyed. */
  keysReloaded(fingerprint256: string | undefined): void {
    const text =
      fingerprint256 === undefined
        ? 'without TLS there are no keys to read'
        : `key and certificate were read again, fingerprint ${fingerprint256}`
    this.#event('keysReloaded', { fingerprint256 }, text)
  }

  stopping(deadlineMs: number): void {
    this.#event('stopping', { deadlineMs }, 'stopping; a second signal ends at once')
  }

  /** The last line: what could not be delivered. */
  stopped(result: RelayStopResult): void {
    const groups = Object.entries(result.undelivered)
    const named = groups
      .slice(0, namedGroupsMax)
      .map(([group, { waiting, leased }]) => `${group} (${waiting} waiting, ${leased} not acknowledged)`)
    const more = groups.length > namedGroupsMax ? `, and ${groups.length - namedGroupsMax} groups more` : ''
    const text = groups.length === 0 ? 'nothing remained' : `undelivered: ${named.join(', ')}${more}`
    this.#event('stopped', result, `stopped; ${text}${result.deadlineReached ? '; the deadline was reached' : ''}`)
  }

  #event(event: string, fields: object, text: string): void {
    if (!this.#output.json) this.#line(text)
    else this.#write(JSON.stringify({ time: new Date().toISOString(), event, ...fields }))
  }

  #line(text: string): void {
    this.#write(`${new Date().toISOString()} ${printable(text)}`)
  }

  #write(line: string): void {
    // A log that nobody reads any more is no reason for a relay to end.
    this.#output.write(`${line}\n`).catch(() => undefined)
  }
}
