/** What the programs of a simulation send: an object that says who it is, and bytes that can be checked. */
export interface SimulatedObject {
  readonly id: number
  readonly filling: Uint8Array
}

const FILLING_STEP = 251

/** An object of about so many bytes. */
export function makeObject(id: number, bytes: number): SimulatedObject {
  const filling = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at += strideOf(bytes)) filling[at] = (id + at) % FILLING_STEP
  return { id, filling }
}

export function simulatedObjectOf(value: unknown): SimulatedObject | undefined {
  if (typeof value !== 'object' || value === null || !('id' in value) || !('filling' in value)) return undefined
  const { id, filling } = value
  return typeof id === 'number' && filling instanceof Uint8Array ? { id, filling } : undefined
}

/** Whether every part of it is what was sent. */
export function isAsSent({ id, filling }: SimulatedObject, bytes: number): boolean {
  if (filling.length !== bytes) return false
  for (let at = 0; at < bytes; at += strideOf(bytes)) if (filling[at] !== (id + at) % FILLING_STEP) return false
  return true
}

/** Large objects are marked often enough that no chunk of theirs is without a mark. */
function strideOf(bytes: number): number {
  return bytes > 4096 ? 509 : 1
}
