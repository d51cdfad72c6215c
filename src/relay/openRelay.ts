import { systemClock } from '../clock.ts'
import { createError, type ObjectRelayError } from '../errors.ts'
import type { LiveKeys } from '../security/liveKeys.ts'
import { passwordWarning } from '../security/password.ts'
import { RelayAuthenticator } from '../security/relayProof.ts'
import { tlsOptionsForRelay } from '../security/tlsOptions.ts'
import { FILE_STORE } from '../store/fileStore.ts'
import { MEMORY_STORE } from '../store/memoryStore.ts'
import type { Store, StoreHost } from '../store/store.ts'
import type { RelayEventMessage } from './relayEvents.ts'
import { openRelayKeys } from './relayKeys.ts'
import type { CheckedRelayOptions } from './relayOptions.ts'
import { RelayServer, type RelayServerParts } from './relayServer.ts'
import type { RelayStats, RelayStopResult } from './relayStats.ts'

/** A relay that listens, on the thread that opened it. */
export interface OpenRelay {
  readonly port: number
  readonly address: string
  /** The SHA-256 fingerprint of its certificate; `undefined` without TLS. */
  readonly fingerprint256: string | undefined
  /** Reads key and certificate again; resolves to the fingerprint, rejects with why they are unfit. */
  reloadKeys(): Promise<string | undefined>
  stats(): RelayStats
  stop(deadlineMs: number): Promise<RelayStopResult>
}

/** Loads what the options name, files and modules, and starts the relay. */
export async function openRelay(
  options: CheckedRelayOptions,
  emit: (event: RelayEventMessage) => void,
): Promise<OpenRelay> {
  const { password, security, keysDir } = options
  let server: RelayServer | undefined
  const keys =
    security === 'none' ? undefined : await openRelayKeys({ keysDir, emit, use: (tls) => server?.useKeys(tls) })
  const report = (error: ObjectRelayError) =>
    emit({ name: 'warning', value: { code: error.code, message: error.message } })
  const store = await openStore(options, { report })
  server = await startServer(options, keys, { clock: systemClock, store, emit })
  const listening = server
  keys?.watch()
  const weakness = password === undefined ? undefined : passwordWarning(password)
  if (weakness !== undefined) emit({ name: 'warning', value: { code: 'WEAK_PASSWORD', message: weakness } })
  if (security === 'none') {
    const message =
      "security is 'none': everything travels readable and changeable, and is safe on a trusted network only."
    emit({ name: 'warning', value: { code: 'NO_TLS', message } })
  }
  return {
    port: listening.port,
    address: listening.address,
    fingerprint256: keys?.current.fingerprint256,
    reloadKeys: async () => (await keys?.reload())?.fingerprint256,
    stats: () => listening.stats(),
    stop: (deadlineMs) => {
      keys?.close()
      return listening.stop(deadlineMs)
    },
  }
}

/** A server that listens; if it cannot, its store is closed again. */
async function startServer(
  { acceptedGroups, limits, host, port, password, passwordVerifier }: CheckedRelayOptions,
  keys: LiveKeys | undefined,
  parts: Omit<RelayServerParts, 'authenticator'>,
): Promise<RelayServer> {
  try {
    const authenticator = await RelayAuthenticator.create(
      password === undefined ? { passwordVerifier: passwordVerifier ?? '' } : { password },
      { ticketMs: limits.ticketMs, ticketKey: parts.store.ticketKey },
    )
    const server = new RelayServer({ acceptedGroups, limits }, { ...parts, authenticator })
    await server.listen({ host, port, tls: keys === undefined ? undefined : tlsOptionsForRelay(keys.current) })
    return server
  } catch (error) {
    await parts.store.close()
    throw error
  }
}

/** The stores of this library, by the name that their descriptors have in place of a URL; each is loaded when it is used. */
const ownStores: Readonly<Record<string, () => Promise<object>>> = {
  [MEMORY_STORE]: () => import('../store/memoryStore.ts'),
  [FILE_STORE]: () => import('../store/fileStore.ts'),
}

async function openStore({ store }: CheckedRelayOptions, host: StoreHost): Promise<Store> {
  const loadOwn = Object.hasOwn(ownStores, store.module) ? ownStores[store.module] : undefined
  const module: unknown = await (loadOwn === undefined ? import(store.module) : loadOwn())
  if (
    typeof module === 'object' &&
    module !== null &&
    'openStore' in module &&
    typeof module.openStore === 'function'
  ) {
    return await module.openStore(store.options, host)
  }
  throw createError('INVALID_OPTION', `The store's module ${store.module} has no function openStore.`, {
    details: { option: 'store' },
  })
}
