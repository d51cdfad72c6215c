/**
 * Every bound of this library: its name with the unit last, its default, and the reason for the default.
 * Counts are objects, endpoints or connections; bytes are bytes on the wire or in memory; times are milliseconds.
 */

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

/** The bounds of a relay; all may be given in `Relay.start({ limits })`. Those that endpoints must keep are told to them at connect. */
export interface RelayLimits {
  /** How often each side of an idle link sends a heartbeat; a peer silent for two intervals is gone. Default 5 000: noticed within 10 s, 0.2 frames/s. */
  heartbeatMs: number
  /** How long the session of a lost endpoint is kept for its return. Default 10 000: a cut link, a switch that restarts. What a killed worker had goes to another one after this time. */
  sessionGraceMs: number
  /** How often an object may be tried in vain before it goes to `<group>.dead`: a delivery that a program has seen is an attempt. Default 5. */
  attemptsMax: number
  /** How long an object waits after its first attempt failed, doubled with each further one. Default 1 000: a service that restarts, without punishing others. */
  retryDelayMs: number
  /** The longest wait between two attempts. Default 60 000. */
  retryDelayMaxMs: number
  /** Bytes of dead letters of one group; beyond, its oldest are dropped and counted. All groups together may have `relayBytesMax`. Default 256 MiB. */
  deadBytesMax: number
  /** The largest object. Default 2 GiB. */
  objectBytesMax: number
  /** Bytes of objects waiting or leased in one group's queue; at least `objectBytesMax`. Default 2 GiB. */
  groupBytesMax: number
  /** Bytes of objects in all groups and backlogs together, but for dead letters; at least `groupBytesMax`. Default 4 GiB. */
  relayBytesMax: number
  /** Bytes of broadcasts that wait for one slow member; beyond, its oldest are dropped and counted. Default 64 MiB. */
  memberBacklogBytesMax: number
  /** How long a connection may be silent in all before it has proven the password. Default 5 000: several round trips to the other side of the world. */
  handshakeMs: number
  /** Connections that have not proven the password yet, at once; beyond, the one that has said least for longest is ended. Default 1 024. */
  unauthenticatedMax: number
  /** Connections of endpoints at once. Default 10 000. */
  endpointsMax: number
  /** Groups at once; a group without members, objects and last broadcast costs nothing. Default 100 000. */
  groupsMax: number
  /** Groups that one endpoint may be a member of, and destinations of one object. Default 255, which is the most that a frame holds. */
  groupsPerEndpointMax: number
  /** Bytes that one endpoint may have on its way to the relay, unread or held back by a full group. Default 8 MiB: 80 ms at 100 MB/s. */
  sendWindowBytes: number
  /** Bytes of one large object on their way at once, so that what is small overtakes it. Default 256 KiB: 0.5 ms for a small object beside a large one. */
  bulkWindowBytes: number
  /** Large objects that one endpoint may have under way at once. Default 16. */
  streamsMax: number
  /** How long a member whose program takes nothing keeps its leases; 0: forever. Default 0: long work is legal. */
  progressMs: number
  /** How long a ticket for reconnecting without the password exchange is good. Default 24 h. */
  ticketMs: number
}

export const relayLimitDefaults: Readonly<RelayLimits> = {
  heartbeatMs: 5_000,
  sessionGraceMs: 10_000,
  attemptsMax: 5,
  retryDelayMs: 1_000,
  retryDelayMaxMs: 60_000,
  deadBytesMax: 256 * MiB,
  objectBytesMax: 2 * GiB,
  groupBytesMax: 2 * GiB,
  relayBytesMax: 4 * GiB,
  memberBacklogBytesMax: 64 * MiB,
  handshakeMs: 5_000,
  unauthenticatedMax: 1_024,
  endpointsMax: 10_000,
  groupsMax: 100_000,
  groupsPerEndpointMax: 255,
  sendWindowBytes: 8 * MiB,
  bulkWindowBytes: 256 * KiB,
  streamsMax: 16,
  progressMs: 0,
  ticketMs: 24 * 60 * 60 * 1000,
}

/** The bounds of an endpoint; all may be given in `new Endpoint({ limits })`. */
export interface EndpointLimits {
  /** Bytes that were sent by the program and not yet accepted by the relay. Beyond, calls wait for room. Default 64 MiB. */
  sendBytesMax: number
  /** Bytes of calls that wait for room; beyond, a call is rejected with `SEND_ROOM_FULL`. Default 64 MiB. A single object always finds room when nothing waits. */
  sendWaitingBytesMax: number
  /** Objects that were sent by the program and not yet accepted, those that wait for room included; beyond, a call is rejected with `SEND_ROOM_FULL`. Default 250 000: each has a promise, some 500 bytes beside its own. */
  sendObjectsMax: number
  /** Bytes in the inbox; beyond, the relay keeps what comes. A single object always finds room when nothing waits. Default 64 MiB. */
  inboxBytesMax: number
  /** The largest object to send or to receive. Default 2 GiB. */
  objectBytesMax: number
}

export const endpointLimitDefaults: Readonly<EndpointLimits> = {
  sendBytesMax: 64 * MiB,
  sendWaitingBytesMax: 64 * MiB,
  sendObjectsMax: 250_000,
  inboxBytesMax: 64 * MiB,
  objectBytesMax: 2 * GiB,
}

/** Bounds that are part of the protocol or of its implementation and cannot be changed by an option. */
export const fixedLimits = {
  /** Bytes of UTF-8 in a group's name. */
  groupNameBytesMax: 128,
  /** Bytes of UTF-8 in the name by which people know an endpoint. */
  endpointNameBytesMax: 128,
  /** The largest frame, its length field included; what is larger travels in chunks. */
  frameBytesMax: 131_072,
  /** Bytes of a large object in one chunk. */
  chunkBytes: 65_536,
  /** The least bytes of a large object: what is smaller fits into one frame, and would cost more than it counts. */
  streamBytesMin: 65_536,
  /** The largest frame before the password is proven. */
  handshakeFrameBytesMax: 4_096,
  /** The largest control frame (join lists, refusals) after it. */
  controlFrameBytesMax: 65_536,
  /** Ranges of objects that a HELLO names, which are sent again in a new session. Beyond, the last one ends with the last of them. */
  unresolvedRangesMax: 100,
  /** Bytes of the extensions of one object. */
  extensionBytesMax: 8_192,
  /** Copies that one `{ group: count }` may ask for, and objects of one `notify`. */
  countMax: 1_000_000,
  /** Nesting depth of an object on the wire. */
  depthMax: 500,
  /** From this size on, an array travels beside the encoding and not in it. */
  segmentBytesMin: 4_096,
  /** Segments of one object. */
  segmentsMax: 65_536,
  /** Bytes of the ring between the program and its I/O thread, in each direction; one pair for each process. */
  ringBytes: 4_194_304,
  /** Bytes of a relay's notices that wait for room in the ring. A relay that says more while the program is busy is not to be believed. */
  waitingNoticeBytesMax: 1_048_576,
  /** `error` events of one code that an endpoint tells one by one before its program's next turn. Beyond, they are counted, and one more event tells how many. */
  errorEventsMax: 100,
  /** Events of a relay that its program has not heard yet, because it is busy. Beyond, they are counted and not kept. */
  waitingEventsMax: 10_000,
  /** Bytes of the same ring with `io: 'inline'`. */
  inlineRingBytes: 1_048_576,
  /** Bytes that were given to one connection and not taken by the operating system; beyond, small frames wait. */
  linkPendingBytesMax: 262_144,
  /** Beyond this, chunks of large objects wait, so that what is small overtakes them. */
  linkPendingBulkBytesMax: 131_072,
  /** Object bytes on their way to one endpoint that it has not confirmed, however much room it says it has: they are kept for its return. */
  unconfirmedObjectBytesMax: 67_108_864,
  /** The same with all other frames. Beyond, the peer is one that asks and does not listen: its link and session end. */
  unconfirmedBytesMax: 134_217_728,
  /** Bytes on their way to an endpoint with `broadcasts: 'latest'` and not confirmed, from which on a broadcast waits in the relay, where the next one takes its place: what arrives is at most as old as this much and one object take to travel. */
  latestUnarrivedBytesMax: 2_097_152,
  /** Large objects up to this size stay in the relay's memory, as far as `bodyMemoryBytesMax` has room; larger ones are written to a file as they come. */
  bodyWholeBytesMax: 1_048_576,
  /** Bytes of such objects together. Beyond as much again, large objects that are just being written each do with little. */
  bodyMemoryBytesMax: 33_554_432,
  /** Bytes of one large object that have come and are not written to its file yet. Beyond, its sender is held back until the disk has caught up. */
  bodyUnwrittenBytesMax: 2_097_152,
  /** Bytes of one large object that stay in memory although they are written, for receivers that are just behind. */
  bodyTailBytes: 524_288,
  /** Bytes of a large object that are written, or read back, at a time. */
  bodyPieceBytes: 262_144,
  /** Bytes of large objects that were read back for receivers that were late; what was not used for longest goes first. */
  bodyReadBytesMax: 16_777_216,
} as const
