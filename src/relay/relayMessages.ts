import type { PlainError } from '../errors.ts'
import type { RelayEventMessage } from './relayEvents.ts'
import type { RelayStats, RelayStopResult } from './relayStats.ts'

/** What the program asks of the relay's thread. */
export type RelayRequest =
  /** The program has heard so many more events. */
  | { readonly kind: 'heard'; readonly count: number }
  | { readonly kind: 'stats'; readonly id: number }
  | { readonly kind: 'reloadKeys'; readonly id: number }
  | { readonly kind: 'stop'; readonly id: number; readonly deadlineMs: number }

/** What the relay's thread says. */
export type RelayReply =
  | {
      readonly kind: 'started'
      readonly port: number
      readonly address: string
      readonly fingerprint256: string | undefined
    }
  | { readonly kind: 'failed'; readonly error: PlainError }
  | { readonly kind: 'event'; readonly event: RelayEventMessage }
  | { readonly kind: 'answer'; readonly id: number; readonly value: RelayStats | RelayStopResult | string | undefined }
  | { readonly kind: 'refusal'; readonly id: number; readonly error: PlainError }
