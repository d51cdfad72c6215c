import { systemClock } from '../clock.ts'
import { createError } from '../errors.ts'
import { loadKeys } from '../security/keyFiles.ts'
import { loadOrMakeKeys } from '../security/keyFolder.ts'
import { passwordWarning } from '../security/password.ts'
import { RelayAuthenticator } from '../security/relayProof.ts'
import { tlsOptionsForRelay } from '../security/tlsOptions.ts'
import type { Store } from '../store/store.ts'
import type { RelayEventMessage } from './relayEvents.ts'
import type { CheckedRelayOptions } from './relayOptions.ts'
import { RelayServer } from './relayServer.ts'
import type { RelayStats, RelayStopResult } from './relayStats.ts'

/** A relay that listens, on the thread that opened it. */
export interface OpenRelay {
  readonly port: number
  readonly address: string
  /** The SHA-256 fingerprint of its certificate; `undefined` without TLS. */
  readonly fingerprint256: string | undefined
  stats(): RelayStats
  stop(deadlineMs: number): Promise<RelayStopResult>
}

/** Loads what the options name, files and modules, and starts the relay. */
export async function openRelay(
  options: CheckedRelayOptions,
  emit: (event: RelayEventMessage) => void,
): Promise<OpenRelay> {
  const { password, passwordVerifier, security, limits, keysDir, host, port, acceptedGroups } = options
  const keys =
    security === 'none' ? undefined : keysDir === undefined ? await loadOrMakeKeys() : await loadKeys(keysDir)
  const authenticator = await RelayAuthenticator.create(
    password === undefined ? { passwordVerifier: passwordVerifier ?? '' } : { password },
    { ticketMs: limits.ticketMs },
  )
  const store = await openStore(options)
  const server = new RelayServer({ acceptedGroups, limits }, { clock: systemClock, authenticator, store, emit })
  await server.listen({ host, port, tls: keys === undefined ? undefined : tlsOptionsForRelay(keys) })
  const weakness = password === undefined ? undefined : passwordWarning(password)
  if (weakness !== undefined) emit({ name: 'warning', value: { message: weakness } })
  if (security === 'none') {
    const message =
      "security is 'none': everything travels readable and changeable, and is safe on a trusted network only."
    emit({ name: 'warning', value: { message } })
  }
  return {
    port: server.port,
    address: server.address,
    fingerprint256: keys?.fingerprint256,
    stats: () => server.stats(),
    stop: (deadlineMs) => server.stop(deadlineMs),
  }
}

async function openStore({ store }: CheckedRelayOptions): Promise<Store> {
  const module: unknown = await import(store.module)
  if (
    typeof module === 'object' &&
    module !== null &&
    'openStore' in module &&
    typeof module.openStore === 'function'
  ) {
    return module.openStore(store.options)
  }
  throw createError('INVALID_OPTION', `The store's module ${store.module} has no function openStore.`, {
    details: { option: 'store' },
  })
}
