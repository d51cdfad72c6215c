import {
  Endpoint,
  type EndpointConnectOptions,
  type EndpointEvents,
  type EndpointOptions,
  Relay,
  type RelayEvents,
  type RelayOptions,
} from 'objectrelay'

export const host = '127.0.0.1'
/** Strong enough that no relay warns about it. */
export const password = 'Vf7-kiln-otter-92-zebra'

type ConnectOptions<Groups extends object> = Partial<EndpointConnectOptions<Groups>>
type Options<Groups extends object> = Partial<EndpointOptions<Groups>>

/** The relays and endpoints of one test: all on loopback, all with one password, all stopped at its end. */
export class Network {
  /** What all relays of a test file get besides what the test says; each file has a process of its own. */
  static relayDefaults: () => Promise<Partial<RelayOptions>> = async () => ({})
  readonly #io: 'thread' | 'inline'
  readonly #endpoints: { stop(options: { deadlineMs: number }): Promise<unknown> }[] = []
  readonly #relays: Relay[] = []

  constructor(io: 'thread' | 'inline' = 'thread') {
    this.#io = io
  }

  async relay(options: Partial<RelayOptions> = {}): Promise<Relay> {
    const usual = await Network.relayDefaults()
    const relay = await Relay.start({ port: 0, host, password, ...usual, ...options })
    this.#relays.push(relay)
    return relay
  }

  /** An endpoint that the relay has accepted. */
  async connect<Groups extends object = Record<string, unknown>>(
    { port }: { readonly port: number },
    options: ConnectOptions<Groups> = {},
  ): Promise<Endpoint<Groups>> {
    const endpoint = await Endpoint.connect<Groups>({ host, port, password, io: this.#io, ...options })
    this.#endpoints.push(endpoint)
    return endpoint
  }

  /** An endpoint that connects in the background. */
  begin<Groups extends object = Record<string, unknown>>(
    { port }: { readonly port: number },
    options: Options<Groups> = {},
  ): Endpoint<Groups> {
    const endpoint = new Endpoint<Groups>({ host, port, password, io: this.#io, ...options })
    this.#endpoints.push(endpoint)
    return endpoint
  }

  /** Stops everything; nothing has to be delivered any more. */
  async end(): Promise<void> {
    await Promise.all(this.#endpoints.splice(0).map((endpoint) => endpoint.stop({ deadlineMs: 100 })))
    await Promise.all(this.#relays.splice(0).map((relay) => relay.stop({ deadlineMs: 0 })))
  }
}

/** What an endpoint or a relay can be listened to. */
interface Source<Events extends object> {
  on<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): unknown
  off<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): unknown
}

/** The next event of a relay that fits. */
export function relayEvent<Name extends keyof RelayEvents>(
  relay: Source<RelayEvents>,
  name: Name,
  fits: (value: RelayEvents[Name]) => boolean = () => true,
): Promise<RelayEvents[Name]> {
  return nextEvent<RelayEvents, Name>(relay, name, fits)
}

/** The next event of an endpoint that fits. */
export function endpointEvent<Name extends keyof EndpointEvents>(
  endpoint: Source<EndpointEvents>,
  name: Name,
  fits: (value: EndpointEvents[Name]) => boolean = () => true,
): Promise<EndpointEvents[Name]> {
  return nextEvent<EndpointEvents, Name>(endpoint, name, fits)
}

function nextEvent<Events extends object, Name extends keyof Events>(
  source: Source<Events>,
  name: Name,
  fits: (value: Events[Name]) => boolean,
): Promise<Events[Name]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      source.off(name, listener)
      reject(new Error(`There was no event ${String(name)} that fits within 15 s`))
    }, 15_000)
    const listener = (value: Events[Name]) => {
      if (!fits(value)) return
      clearTimeout(timer)
      source.off(name, listener)
      resolve(value)
    }
    source.on(name, listener)
  })
}

/** `count` objects in a row, as they come. */
export async function take<Groups extends object>(
  endpoint: Endpoint<Groups>,
  count: number,
  timeoutMs = 10_000,
): Promise<unknown[]> {
  const taken: unknown[] = []
  while (taken.length < count) {
    const objects = await endpoint.pop({ maxItems: count - taken.length, blocking: true, timeoutMs })
    if (objects.length === 0) throw new Error(`Only ${taken.length} of ${count} objects came: ${JSON.stringify(taken)}`)
    taken.push(...objects)
  }
  return taken
}
