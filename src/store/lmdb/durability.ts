// In a file of its own, so that the types of the package can be read without the package lmdb.

/** What a relay's commits survive. */
export type Durability = 'synced' | 'written'
