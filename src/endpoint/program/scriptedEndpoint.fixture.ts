import { vi } from 'vitest'
import { Endpoint } from './endpoint.ts'
import type { EndpointConnectOptions, EndpointOptions } from './endpointOptions.ts'
import { ScriptedIo } from './scriptedIo.fixture.ts'

const scripted = vi.hoisted(() => ({ io: undefined as unknown }))

vi.mock('../openIo.ts', () => ({ openIo: () => scripted.io }))

export const requiredOptions = { host: '127.0.0.1', port: 3000, password: 'a long enough secret' } as const

/** What the next endpoint is connected to. */
export function nextIo(): ScriptedIo {
  const io = new ScriptedIo()
  scripted.io = io
  return io
}

/** An endpoint of the groups g and h whose relay is played by the test. */
export function openEndpoint(options: Partial<EndpointOptions> = {}): {
  endpoint: Endpoint
  io: ScriptedIo
  errors: Error[]
} {
  const io = nextIo()
  const errors: Error[] = []
  const endpoint = new Endpoint({ ...requiredOptions, groups: ['g', 'h'], ...options })
  endpoint.on('error', (error) => errors.push(error))
  io.connected()
  return { endpoint, io, errors }
}

/** `new Endpoint` with options of any kind, as a program without types can give them. */
export function newEndpoint(options: unknown): Endpoint {
  return new Endpoint(options as EndpointOptions)
}

/** `Endpoint.connect`, likewise. */
export function connectEndpoint(options: unknown): Promise<Endpoint> {
  return Endpoint.connect(options as EndpointConnectOptions)
}

/** What a promise is rejected with. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('the promise was not rejected')
}
