// The protocol as bytes: frames, their numbering and resume, large objects in chunks, routes. Endpoints and the relay share it.
// Pure: it may import errors.ts, limits.ts and the like of src/, and no other folder; no node:*, no clock, no sockets.
// Changes that belong here: what is on the wire. They begin in PROTOCOL.md.

/**
 * The types of frames. PROTOCOL.md is their specification.
 *
 * Types below 0x20 belong to one link and are neither numbered nor sent again. Types from 0x20 on belong to the
 * session: each side counts them, keeps them until the other side confirmed their receipt, and sends them again
 * after a reconnect.
 */
export const FrameType = {
  // 0x01 to 0x0f: the password proof, see src/security/proofMessages.ts
  HELLO: 0x10,
  WELCOME: 0x11,
  REFUSED: 0x12,
  CONFIRM: 0x13,
  CLOSE: 0x14,
  OBJECT: 0x20,
  STREAM_BEGIN: 0x21,
  STREAM_CHUNK: 0x22,
  STREAM_ABORT: 0x23,
  STREAM_WINDOW: 0x24,
  ACCEPTED: 0x30,
  REJECTED: 0x31,
  BLOCKED: 0x32,
  UNBLOCKED: 0x33,
  NOTIFY: 0x34,
  DEMAND: 0x35,
  ACKNOWLEDGE: 0x36,
  RELEASE: 0x37,
  CONTEXT: 0x38,
  GOODBYE: 0x39,
  RECLAIM: 0x3a,
  RECLAIM_END: 0x3b,
  SEEN: 0x3c,
} as const

/** The first type that belongs to the session and is numbered. */
export const FIRST_NUMBERED_TYPE = 0x20

/**
 * Leases that an endpoint had in an earlier session are numbered by itself when it claims them, from this number on; those
 * of the present session are numbered from 0, and never come so far.
 */
export const FIRST_CLAIMED_LEASE = 0x1_0000_0000_0000

/** The name of the protocol and its version, in ALPN and in the preface of an unencrypted link. */
export const PROTOCOL_NAME = 'objectrelay/1'

/** The protocol's version, in HELLO and WELCOME. */
export const PROTOCOL_VERSION = 1

/** Bytes before a frame's own fields: u32 length of the whole frame, u8 type. */
export const FRAME_HEADER_BYTES = 5

/** Bytes of a STREAM_CHUNK before its part of the object. */
export const CHUNK_HEADER_BYTES = 20
