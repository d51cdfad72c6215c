import { FRAME_HEADER_BYTES, FrameType } from '../../src/wire/frameTypes.ts'
import { OBJECT_HEAD_BYTES } from '../../src/wire/objectHeader.ts'

/** A frame of any type with any body. */
export function frameOf(type: number, body: Buffer): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + body.length)
  frame.writeUInt32LE(frame.length, 0)
  frame[4] = type
  body.copy(frame, FRAME_HEADER_BYTES)
  return frame
}

/** An OBJECT frame written field by field, so that each may be wrong; by default one that is right. */
export function objectFrame({
  kind = 1,
  count = 1,
  sequence = 0,
  destinations = Buffer.from('\x01g'),
  body = Buffer.of(0, 0x01),
}: {
  kind?: number
  count?: number
  sequence?: number
  destinations?: Buffer
  body?: Buffer
}): Buffer {
  const head = Buffer.alloc(OBJECT_HEAD_BYTES)
  head.writeUInt32LE(OBJECT_HEAD_BYTES + destinations.length + body.length, 0)
  head[4] = FrameType.OBJECT
  head[5] = kind
  head[7] = count
  head.writeUIntLE(sequence, 12, 6)
  head.writeUIntLE(Date.now(), 18, 6)
  return Buffer.concat([head, destinations, body])
}
