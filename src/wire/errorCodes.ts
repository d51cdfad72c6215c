import { type ErrorCode, type ObjectRelayError, type PlainError, toPlainError } from '../errors.ts'

/** A frame that carries an error. */
export type ErrorFrame = 'REFUSED' | 'CLOSE' | 'REJECTED'

/** The codes that may stand in each. PROTOCOL.md (R15.6) says what its receiver does about them; a test compares the two. */
export const errorCodesOfFrames: Readonly<Record<ErrorFrame, readonly ErrorCode[]>> = {
  REFUSED: [
    'INCOMPATIBLE_VERSION',
    'PROTOCOL_VIOLATION',
    'INVALID_ARGUMENT',
    'GROUP_NOT_ACCEPTED',
    'GROUP_FULL',
    'TOO_MANY_GROUPS',
    'TOO_MANY_CONNECTIONS',
    'RELAY_STOPPED',
  ],
  CLOSE: ['PROTOCOL_VIOLATION', 'INVALID_ARGUMENT', 'NOT_A_MEMBER', 'RELAY_STOPPED', 'STOPPED'],
  REJECTED: [
    'GROUP_NOT_ACCEPTED',
    'GROUP_RESERVED',
    'TOO_MANY_GROUPS',
    'QUEUE_FULL',
    'OBJECT_TOO_LARGE',
    'STORE_FULL',
    'STORE_FAILED',
    'RELAY_STOPPED',
  ],
}

/** What any other error is called, which only a fault of ours can bring: a peer knows no more codes than those of the page. */
const otherErrors: Readonly<Record<ErrorFrame, ErrorCode>> = {
  REFUSED: 'PROTOCOL_VIOLATION',
  CLOSE: 'PROTOCOL_VIOLATION',
  REJECTED: 'STORE_FAILED',
}

/** An error as it stands in a frame. */
export function errorInFrame(frame: ErrorFrame, error: ObjectRelayError): PlainError {
  const plain = toPlainError(error)
  return errorCodesOfFrames[frame].includes(error.code) ? plain : { ...plain, code: otherErrors[frame] }
}
