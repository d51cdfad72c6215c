/** @typedef {{ id: number, data: Float32Array }} ArrayObject */

/**
 * Objects that hold one Float32Array. The array is the same each time and changed between two objects, as in a training
 * loop: a system that has not taken its copy when the call returned is found out.
 * @param {number} bytes
 */
export function arrayObjects(bytes) {
  const length = bytes / Float32Array.BYTES_PER_ELEMENT
  const pattern = new Float32Array(length)
  for (let index = 0; index < length; index++) pattern[index] = ((index * 2_654_435_761) % 65_521) / 7
  const expected = Buffer.from(pattern.buffer)
  const places = [0, length >> 1, length - 1]
  const stamp = (/** @type {number} */ id) => {
    for (const place of places) pattern[place] = id + place / 16
  }
  return {
    make(/** @type {number} */ id) {
      stamp(id)
      return { id, data: pattern }
    },
    check(/** @type {any} */ object, /** @type {number} */ id) {
      stamp(id)
      const { data } = object
      if (object.id !== id || !(data instanceof Float32Array)) {
        throw new Error(`array object ${id} arrived as ${object.id} with ${data?.constructor?.name}`)
      }
      const arrived = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
      if (!arrived.equals(expected)) throw new Error(`array object ${id} arrived with other content`)
    },
  }
}
