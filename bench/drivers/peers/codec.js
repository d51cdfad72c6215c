import { Packr } from 'msgpackr'

/** What a user of these systems would most likely take: the same encoding as raw2's. */
const packr = new Packr({ useRecords: false, moreTypes: true })

export const encode = (/** @type {unknown} */ object) => packr.pack(object)
export const decode = (/** @type {Uint8Array} */ bytes) => packr.unpack(bytes)
