const observation = [0.12, -1.5, 3.25e-3, 7.75, -0.003, 42.5, 0.5, -9.125]

/** @param {number} id */
export function makeSmall(id) {
  const [a, b, c, d, e, f, g, h] = observation
  return { id, worker: 'w-3', reward: 0.123, done: false, obs: [a, b, c, d, e, f, g, h] }
}

/**
 * Throws unless the object is the one with this number, whole and unchanged.
 * @param {any} object
 * @param {number} id
 */
export function checkSmall(object, id) {
  const { obs } = object
  let same = object.id === id && object.worker === 'w-3' && object.reward === 0.123 && object.done === false
  same &&= Array.isArray(obs) && obs.length === observation.length
  for (let index = 0; same && index < observation.length; index++) same = obs[index] === observation[index]
  if (!same) throw new Error(`small object ${id} arrived as ${JSON.stringify(object)?.slice(0, 300)}`)
}
