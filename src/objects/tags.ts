/**
 * The CBOR tags (RFC 8949, 3.4) that objects are written with, and those that are read from other programs besides.
 * All but the last four are registered with IANA.
 */
export const tags = {
  /** Text of RFC 3339; read only. */
  dateText: 0,
  /** Seconds since 1970, whole or a float; what a `Date` is written as. */
  dateSeconds: 1,
  bigintPositive: 2,
  bigintNegative: 3,
  /** [name, value]: an object of a class that both sides know by that name. */
  named: 27,
  /** Marks an item that is referred to again; marks are counted from 0 in the order they come. */
  shared: 28,
  /** The number of a marked item. */
  sharedReference: 29,
  /** Around `undefined`: one hole in an array. */
  hole: 31,
  regexp: 35,
  uuid: 37,
  /** [shape, typed array], row by row: a tensor. */
  tensor: 40,
  /** An array whose elements are alike; read only, and only a hint. */
  homogeneous: 41,
  /** 64 to 87 are typed arrays (RFC 8746); typedArrays.ts has the table. */
  typedArrayFirst: 64,
  typedArrayLast: 87,
  /** Days since 1970; read only. */
  dateDays: 100,
  set: 258,
  /** A map that is a `Map` whatever its keys are. */
  map: 259,
  /** Bytes of WTF-8: a string that holds a surrogate without its partner, which UTF-8 cannot say. */
  wtf8: 273,
  /** YYYY-MM-DD; read only. */
  dateOnly: 1004,
  /** [source, flags] of an ECMAScript regular expression. */
  regexpFlags: 21066,
  /** "This is CBOR"; read only. */
  selfDescribed: 55799,

  // Ours, from the first-come-first-served range ("obj" and a number); IANA has none of them assigned.
  /** The number of a segment that travels beside the CBOR, where a byte string could stand. */
  segment: 0x6f626a00,
  /** Around a byte string or a segment: an `ArrayBuffer`. */
  arrayBuffer: 0x6f626a01,
  /** Around a byte string or a segment: a `DataView`. */
  dataView: 0x6f626a02,
  /** Around a count, in an array: so many holes in a row. */
  holes: 0x6f626a03,
} as const

/** Tags that only hint at how to show their content (expected base64, a URI, embedded CBOR, ...): the content is taken as it is. */
export const hintTags: ReadonlySet<number> = new Set([
  21,
  22,
  23,
  24,
  32,
  33,
  34,
  36,
  tags.homogeneous,
  tags.selfDescribed,
])

/** Names under tag 27 that are ours; programs cannot register them. */
export const reservedNames: ReadonlySet<string> = new Set(['Error', 'Date', 'Number', 'String', 'Boolean', 'BigInt'])

/** The longest regular expression that is sent or accepted. */
export const regexpCharactersMax = 16_384
