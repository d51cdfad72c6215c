import { createError, type ObjectRelayError } from '../errors.ts'
import type { Core } from './core.ts'
import { reject } from './entering.ts'
import type { ResolvedRoute, Session } from './entities/model.ts'
import type { Payload, Route } from './ports.ts'

/** Where an object goes; `undefined` if it was rejected because it can never get there. */
export function resolveRoute(
  core: Core,
  session: Session,
  sequence: number,
  route: Route,
  payload: Payload,
): ResolvedRoute | undefined {
  if (core.stopped) {
    const message = 'The relay is stopping and accepts nothing more. Send to it again when it has been started again.'
    reject(core, session, sequence, undefined, payload, createError('RELAY_STOPPED', message))
    return undefined
  }
  const resolved = core.registry.resolve(session, route)
  if (resolved instanceof Error) {
    reject(core, session, sequence, undefined, payload, resolved)
    return undefined
  }
  if (resolved.tooManyFor === undefined && payload.bytes <= resolved.bytesMax) return resolved
  reject(core, session, sequence, resolved, payload, neverFits(resolved, payload))
  return undefined
}

function neverFits({ tooManyFor, bytesMax }: ResolvedRoute, { bytes }: Payload): ObjectRelayError {
  if (tooManyFor !== undefined) {
    const { name, maxConsumables } = tooManyFor
    const message = `More copies were sent to the group "${name}" than may wait there (${maxConsumables}). Send fewer, or raise its maxConsumables.`
    return createError('QUEUE_FULL', message, { details: { group: name, maxConsumables } })
  }
  const message = `An object of ${bytes} bytes was sent where at most ${bytesMax} fit. Raise limits.objectBytesMax, groupBytesMax or relayBytesMax.`
  return createError('OBJECT_TOO_LARGE', message, { details: { bytes, bytesMax } })
}
