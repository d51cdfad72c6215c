import { connect, createServer, type Server, type Socket } from 'node:net'
import { host } from '../../support/network.ts'
import { listenOn } from '../../support/ports.ts'

/** What a proxy forwards: everything, or nothing in one or both directions while the connections seem to stand. */
export type Silence = 'none' | 'toRelay' | 'toEndpoint' | 'both'

interface Pair {
  readonly endpoint: Socket
  readonly relay: Socket
  silence: Silence
}

/** A cable between endpoints and a relay, for cutting, for pulling without a sound, and for coming from elsewhere. */
export class FaultyProxy {
  readonly port: number
  /** Connections that endpoints opened up to now. */
  connections = 0
  readonly #server: Server
  readonly #relayPort: number
  readonly #pairs = new Set<Pair>()
  #silence: Silence = 'none'
  #sourceAddress = host

  private constructor(server: Server, port: number, relayPort: number) {
    this.#server = server
    this.port = port
    this.#relayPort = relayPort
    server.on('connection', (socket) => this.#join(socket))
  }

  static async open(relayPort: number): Promise<FaultyProxy> {
    const server = createServer({ pauseOnConnect: true })
    return new FaultyProxy(server, await listenOn(server), relayPort)
  }

  /** Breaks all connections as a router does that forgot them: with a reset. */
  cut(): void {
    for (const { endpoint, relay } of this.#pairs) {
      endpoint.resetAndDestroy()
      relay.resetAndDestroy()
    }
    this.#pairs.clear()
  }

  /** From now on forwards nothing in these directions; what stands and what comes. Nobody is told. */
  fallSilent(silence: Silence): void {
    this.#silence = silence
    for (const pair of this.#pairs) this.#apply(pair, silence)
  }

  /**
   * The endpoints get another address: their old connections stand, and carry nothing for ever; new ones come to the relay
   * from there.
   */
  move(sourceAddress: string): void {
    this.#sourceAddress = sourceAddress
    for (const pair of this.#pairs) this.#apply(pair, 'both')
  }

  close(): void {
    this.#server.close()
    this.cut()
  }

  #join(endpoint: Socket): void {
    this.connections++
    const relay = connect({ host, port: this.#relayPort, localAddress: this.#sourceAddress })
    const pair: Pair = { endpoint, relay, silence: this.#silence }
    this.#pairs.add(pair)
    this.#forward(endpoint, relay, pair, 'toRelay')
    this.#forward(relay, endpoint, pair, 'toEndpoint')
    this.#apply(pair, pair.silence)
  }

  #forward(from: Socket, to: Socket, pair: Pair, direction: Silence): void {
    const isSilent = () => pair.silence === 'both' || pair.silence === direction
    from.setNoDelay(true)
    from.on('data', (bytes) => {
      if (!to.write(bytes)) from.pause()
    })
    to.on('drain', () => {
      if (!isSilent()) from.resume()
    })
    from.on('error', () => undefined)
    from.on('close', () => {
      this.#pairs.delete(pair)
      // A pulled cable carries no end either.
      if (!isSilent()) to.destroy()
    })
  }

  #apply(pair: Pair, silence: Silence): void {
    pair.silence = silence
    const { endpoint, relay } = pair
    if (silence === 'both' || silence === 'toRelay') endpoint.pause()
    else endpoint.resume()
    if (silence === 'both' || silence === 'toEndpoint') relay.pause()
    else relay.resume()
  }
}
