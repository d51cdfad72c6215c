import { FRAME_HEADER_BYTES } from './frameTypes.ts'
import { writeUint32 } from './integers.ts'

/** Puts the header of a frame before a message of the password proof. */
export function encodeProofFrame({ type, body }: { readonly type: number; readonly body: Uint8Array }): Buffer {
  const frame = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + body.length)
  writeUint32(frame, 0, frame.length)
  frame[4] = type
  frame.set(body, FRAME_HEADER_BYTES)
  return frame
}
