import { createError, type ObjectRelayError } from '../errors.ts'
import type { Payload, Route } from './contract.ts'
import type { Core } from './core.ts'
import { reject } from './entering.ts'
import type { Plan } from './parcel.ts'
import type { Session } from './session.ts'

/** Where an object goes; `undefined` if it was rejected because it can never get there. */
export function planFor<P extends Payload>(
  core: Core<P>,
  session: Session<P>,
  sequence: number,
  route: Route,
  payload: P,
): Plan<P> | undefined {
  if (core.stopped) {
    const message = 'The relay is stopping and accepts nothing more. Send to it again when it has been started again.'
    reject(core, session, sequence, undefined, payload, createError('RELAY_STOPPED', message))
    return undefined
  }
  const plan = core.directory.plan(session, route)
  if (plan instanceof Error) {
    reject(core, session, sequence, undefined, payload, plan)
    return undefined
  }
  if (plan.tooManyFor === undefined && payload.bytes <= plan.bytesMax) return plan
  reject(core, session, sequence, plan, payload, neverFits(plan, payload))
  return undefined
}

function neverFits<P extends Payload>({ tooManyFor, bytesMax }: Plan<P>, { bytes }: P): ObjectRelayError {
  if (tooManyFor !== undefined) {
    const { name, maxConsumables } = tooManyFor
    const message = `More copies were sent to the group "${name}" than may wait there (${maxConsumables}). Send fewer, or raise its maxConsumables.`
    return createError('QUEUE_FULL', message, { details: { group: name, maxConsumables } })
  }
  const message = `An object of ${bytes} bytes was sent where at most ${bytesMax} fit. Raise limits.objectBytesMax, groupBytesMax or relayBytesMax.`
  return createError('OBJECT_TOO_LARGE', message, { details: { bytes, bytesMax } })
}
