import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { createError } from '../errors.ts'
import { hostAndPort } from '../hostAndPort.ts'
import { channelBindingOf, noChannelBinding } from '../security/channelProof.ts'
import { explainTlsError } from '../security/tlsErrors.ts'
import { type EndpointTlsSource, tlsOptionsForEndpoint } from '../security/tlsOptions.ts'
import { PROTOCOL_NAME } from '../wire/frameTypes.ts'
import { readPreface, writePreface } from './preface.ts'
import { SocketInput } from './socketInput.ts'
import { SocketTransport } from './socketTransport.ts'
import type { Transport } from './transport.ts'

export interface ConnectOptions extends EndpointTlsSource {
  port: number
  security: 'TLS' | 'none'
  /** How long one attempt may take until the channel stands. */
  timeoutMs: number
  /** Gives the attempt up: what there is of a connection is destroyed at once, and the promise rejected with the reason. */
  signal: AbortSignal
}

/**
 * Connects to a relay. Rejects with a typed error: the network's, or that of the certificate. Beyond the attempt itself, nothing
 * of it keeps a program alive: what does is decided by the endpoints, see openIo.ts.
 */
export async function connectTransport(options: ConnectOptions): Promise<Transport> {
  return options.security === 'TLS' ? await connectSecurely(options) : await connectPlainly(options)
}

async function connectSecurely(options: ConnectOptions): Promise<Transport> {
  const tlsOptions = await tlsOptionsForEndpoint(options)
  options.signal.throwIfAborted()
  const input = new SocketInput()
  // Of the types only those of plain sockets know `onread`, but both take it.
  const withInput = { ...tlsOptions, host: options.host, port: options.port, onread: input.onread }
  const socket = connectTls(withInput)
  await untilEvent(socket, 'secureConnect', options)
  if (socket.alpnProtocol !== PROTOCOL_NAME) {
    socket.destroy()
    throw createError(
      'NOT_A_RELAY',
      `${hostAndPort(options.host, options.port)} speaks TLS but not ${PROTOCOL_NAME}; is another program listening on that port?`,
    )
  }
  return new SocketTransport(socket, channelBindingOf(socket), { input })
}

async function connectPlainly(options: ConnectOptions): Promise<Transport> {
  options.signal.throwIfAborted()
  const socket = connectTcp({ host: options.host, port: options.port })
  await untilEvent(socket, 'connect', options)
  writePreface(socket)
  const onAbort = () => socket.destroy()
  options.signal.addEventListener('abort', onAbort)
  try {
    await readPreface(socket, options.timeoutMs, 'relay')
  } catch (error) {
    socket.destroy()
    options.signal.throwIfAborted()
    throw error
  } finally {
    options.signal.removeEventListener('abort', onAbort)
  }
  return new SocketTransport(socket, noChannelBinding())
}

function untilEvent(socket: Socket, event: 'connect' | 'secureConnect', options: ConnectOptions): Promise<void> {
  socket.unref()
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () =>
        fail(
          createError(
            'CONNECT_FAILED',
            `${hostAndPort(options.host, options.port)} did not answer within ${options.timeoutMs} ms.`,
          ),
        ),
      options.timeoutMs,
    ).unref()
    const { signal } = options
    const onAbort = () => fail(signal.reason)
    const onError = (error: Error) => fail(explainTlsError(error, options))
    // An end before the channel stands carries no error of its own.
    const onClose = () =>
      fail(createError('CONNECT_FAILED', `${hostAndPort(options.host, options.port)} closed the connection at once.`))
    function fail(error: unknown) {
      stopListening()
      socket.on('error', () => undefined)
      socket.destroy()
      reject(error)
    }
    function stopListening() {
      clearTimeout(timer)
      socket.off('error', onError)
      socket.off('close', onClose)
      signal.removeEventListener('abort', onAbort)
    }
    socket.on('error', onError)
    socket.on('close', onClose)
    signal.addEventListener('abort', onAbort)
    socket.once(event, () => {
      stopListening()
      // Of a name with several addresses, each is tried with a handle of its own.
      socket.unref()
      resolve()
    })
  })
}
