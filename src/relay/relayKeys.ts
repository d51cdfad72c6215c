import type { TlsOptions } from 'node:tls'
import { systemClock } from '../clock.ts'
import type { RelayKeys } from '../security/keyFiles.ts'
import { keySourceOf } from '../security/keySource.ts'
import { LiveKeys } from '../security/liveKeys.ts'
import { tlsOptionsForRelay } from '../security/tlsOptions.ts'
import type { RelayEventMessage, RelayWarningCode } from './relayEvents.ts'

const dayMs = 24 * 60 * 60 * 1000

const notKept =
  'So the relay has its key and certificate in memory, and makes others when it starts again. That matters only to endpoints ' +
  'which check the certificate. To keep them, set XDG_DATA_HOME to a folder that this user can write, or give the option ' +
  'keysDir a folder with key.pem and certificate.pem.'

export interface RelayKeysParts {
  /** The folder that was given; `undefined` for keys of the relay's own. */
  readonly keysDir: string | undefined
  emit(event: RelayEventMessage): void
  /** New connections get these from now on. What it throws refuses them. */
  use(tls: TlsOptions): void
}

/** Loads the keys of a relay, and reports what becomes of them while it runs. */
export function openRelayKeys({ keysDir, emit, use }: RelayKeysParts): Promise<LiveKeys> {
  const warn = (code: RelayWarningCode, message: string) => emit({ name: 'warning', value: { code, message } })
  return LiveKeys.open({
    source: keySourceOf(keysDir, ({ code, message }) => warn(code, `${message} ${notKept}`)),
    clock: systemClock,
    events: {
      changed: (keys) => {
        use(tlsOptionsForRelay(keys))
        const { fingerprint256, validity } = keys
        emit({ name: 'certificateChanged', value: { fingerprint256, validTo: validity.toMs } })
      },
      unfit: ({ code, message }) =>
        warn(
          code,
          `The files of the relay's key have changed and are not used; it goes on with what it has. ${message}`,
        ),
      expiry: (state, keys) =>
        warn(state === 'expired' ? 'CERTIFICATE_EXPIRED' : 'CERTIFICATE_EXPIRES', expiryMessage(state, keys, keysDir)),
    },
  })
}

function expiryMessage(state: 'expiring' | 'expired', { validity }: RelayKeys, keysDir: string | undefined): string {
  const date = new Date(validity.toMs).toISOString()
  const days = Math.floor((validity.toMs - systemClock.dateMs()) / dayMs)
  const where = keysDir === undefined ? "of the relay's own" : `in ${keysDir}`
  const advice =
    keysDir === undefined
      ? 'It cannot be renewed, because its folder cannot be written.'
      : 'Put a new one there: the relay uses it within seconds, without a restart.'
  return state === 'expired'
    ? `The certificate ${where} has expired on ${date}: endpoints that check it cannot connect any more. ${advice}`
    : `The certificate ${where} expires on ${date}, ${days < 1 ? 'in less than a day' : `in ${days} days`}. ${advice}`
}
