import { vi } from 'vitest'
import { PASSWORD } from '../../test/support/relayWorld.ts'
import type { Clock } from '../clock.ts'
import type { Transport } from '../transport/transport.ts'
import { readJson } from '../wire/controlFrames.ts'
import { EndpointSession } from './network/session.ts'
import { TicketPool } from './network/ticketPool.ts'
import { Endpoint } from './program/endpoint.ts'
import type { EndpointOptions } from './program/endpointOptions.ts'
import { EndpointTable, type Io } from './program/io.ts'
import { createPortPair } from './threads/portPair.ts'

const scripted = vi.hoisted(() => ({ io: undefined as unknown }))

vi.mock('./openIo.ts', () => ({ openIo: () => scripted.io }))

/** An endpoint, all of it: the program's side, and its I/O. */
export interface OpenedProgram {
  readonly endpoint: Endpoint
  /** A busy program computes, and reads nothing that its I/O has for it. */
  setBusy(busy: boolean): void
}

/** Makes an endpoint that connects by `connect`, in the time of `clock`, without sockets and threads. */
export function openProgram(
  clock: Clock,
  connect: () => Promise<Transport>,
  options: Partial<EndpointOptions> = {},
): OpenedProgram {
  const table = new EndpointTable()
  let session: EndpointSession | undefined
  let attachments = 0
  const { program, io } = createPortPair(table, {
    record(endpoint, buffer, start, end) {
      if (session !== undefined) session.record(buffer, start, end)
      else {
        const host = { clock, tickets: new TicketPool(clock), connect, port: io, ended: () => undefined }
        // Written by checkEndpointOptions.
        const configuration = readJson(buffer, start, end) as never
        session = new EndpointSession(endpoint, configuration, { ...host, nextAttachment: () => ++attachments })
      }
    },
  })
  const { onWake } = program.waker
  let isBusy = false
  program.waker.onWake = () => {
    if (!isBusy) onWake()
  }
  const inlineIo: Io = {
    port: program,
    canBlock: false,
    flush: () => true,
    add: (records) => table.add(records),
    remove: (id) => table.remove(id),
    keepAlive: (id, isKept) => table.keepAlive(id, isKept),
  }
  scripted.io = inlineIo
  const endpoint = new Endpoint({
    ...{ host: '127.0.0.1', port: 1, password: PASSWORD, security: 'none' },
    ...{ reconnect: { initialDelayMs: 100, maxDelayMs: 100, jitter: 0 }, ...options },
  })
  const setBusy = (busy: boolean): void => {
    isBusy = busy
    if (!busy) onWake()
  }
  return { endpoint, setBusy }
}
