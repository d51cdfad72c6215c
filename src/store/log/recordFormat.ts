/**
 * The records of a block, one behind the other: what became of objects, in the order in which it happened. All numbers are
 * little-endian; f64 holds a whole number.
 *
 * ```
 *  name:    type u8, nameBytes u8, name in UTF-8
 *  value:   type u8, zero u8, nameBytes u16, valueBytes u32 (0xffffffff: it is forgotten), name in UTF-8, value
 *
 *  all others begin with their subject, the object that they are about:
 *
 *  0      1            2       4        8          12       14
 *  +------+------------+-------+--------+----------+--------+------
 *  | type | groupIndex | group | offset | distance | frames | ...
 *  | u8   | u8         | u16   | u32    | u32      | u16    |
 *  +------+------------+-------+--------+----------+--------+------
 *
 *  moved:  nothing more                    forget the subject: it lies elsewhere now, and all is told again
 *  body:   number f64, bytes f64           a large object has its body in the file of that number
 *
 *  and those about a place in the queue of the group, or about its retained broadcast, go on with its order:
 *
 *  14      22
 *  +-------+------
 *  | order | ...
 *  | f64   |
 *  +-------+------
 *
 *  queued:        nothing more             one copy waits for its first delivery
 *  queuedCopies:  copies u32               several do
 *  leased:        attempt u32, session u16
 *  seen:          attempt u32, session u16
 *  returned:      attempt u32, session u16, nextAttempt u32
 *  deadLettered:  attempt u32, session u16, dead u16, deadOrder f64
 *  died:          textBytes u16, JSON in UTF-8   how what lies at that order of a dead-letter group died
 *  acknowledged:  attempt u32, session u16
 *  dropped:       attempt u32, copies u32
 *  place:         attempt u32, session u16 (0xffff: none), copies u32
 *  retained:      nothing more             what was before is not any more
 *  cleared:       nothing more             it is retained no more, and nothing is
 * ```
 *
 * - `offset` and `distance`: the subject's frame lies at that offset of the segment that is `distance` segments before this one.
 *   That is its identity. A record about an object that is alive lies in the segment of its frame or later; so what is about a
 *   segment that is gone is about an object that is gone.
 * - `frames`: how many objects the record is about. Their frames follow each other from that offset on, and so do their orders.
 *   1 in `body`, `moved`, `place`, `deadLettered`, `died`, `retained` and `cleared`.
 * - Where a session is named, the highest bit of `attempt` says that its program has seen the object; not in `leased` and `seen`.
 * - Names of groups and sessions are numbered from 0 in the order of the name records in this segment; `group`, `dead` and
 *   `session` are such numbers.
 */
export const RecordType = {
  NAME: 1,
  QUEUED: 2,
  QUEUED_COPIES: 3,
  LEASED: 4,
  RETURNED: 5,
  DEAD_LETTERED: 6,
  ACKNOWLEDGED: 7,
  DROPPED: 8,
  RETAINED: 9,
  BODY: 10,
  MOVED: 11,
  PLACE: 12,
  SEEN: 13,
  DIED: 14,
  CLEARED: 15,
  VALUE: 16,
} as const

/** Bytes of a record's type and subject. */
export const SUBJECT_BYTES = 14

/** The same with the order of a place. */
export const PLACE_BYTES = 22

/** The bytes of a whole record, by its type; of one with a text at its end, those before the text. */
export const recordBytes: readonly number[] = [0, 2, 22, 26, 28, 32, 38, 28, 30, 22, 30, 14, 32, 28, 24, 22, 8]

/** A record without a text takes no more than this, and at most three names are told before it. */
export const RECORD_ROOM_BYTES: number = 40 + 3 * (2 + 255)

/** Added to an attempt that a program has seen. */
export const SEEN_BIT = 0x8000_0000

/** Bytes of a value record before its name. */
export const VALUE_BYTES = 8

/** Where a value record says that the value is forgotten. */
export const FORGOTTEN = 0xffff_ffff

/** Where a place record says that nobody has it on lease. */
export const NO_SESSION = 0xffff
