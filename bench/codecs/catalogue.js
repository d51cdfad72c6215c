/**
 * A codec to be measured alone: `receive` turns what `encode` gave into what a receiver holds when it begins to decode.
 * @typedef {{ encode: (object: unknown) => any, receive: (encoded: any) => any, decode: (received: any) => unknown }} Codec
 */

/** The first is what the others are compared with. None of them generates code. */
const modules = {
  msgpackr: () => import('./msgpackr.js'),
  'cbor-x': () => import('./cborX.js'),
  objectrelay: () => import('./objectrelay.js'),
}

export const codecNames = Object.keys(modules)

/**
 * @param {string} name
 * @returns {Promise<Codec>}
 */
export async function loadCodec(name) {
  const entry = Object.entries(modules).find(([known]) => known === name)
  if (entry === undefined) throw new Error(`there is no codec ${name}; there are ${codecNames.join(', ')}`)
  return (await entry[1]()).makeCodec()
}
