import { createError } from '../../errors.ts'
import type { EncodedParts } from '../../objects/encoder.ts'
import type { SpareMemory } from './spareMemory.ts'

/**
 * The memory of a large object as it is passed to the I/O: the head first, then each segment. Segments lie in the program's
 * memory and are copied, since the program may change them as soon as the call returned; with `transfer` those that fill
 * an ArrayBuffer are taken away from it instead.
 */
export function ownParts({ head, segments }: EncodedParts, transfer: boolean, spare: SpareMemory): ArrayBuffer[] {
  const buffers: (ArrayBuffer | undefined)[] = [wholeBuffer(head) ?? copyOf(head, spare)]
  const given = new Map<ArrayBuffer, number>()
  for (const [index, segment] of segments.entries()) {
    const whole = transfer ? wholeBuffer(segment) : undefined
    // What is copied is copied first: it may lie in a buffer that is given away below.
    if (whole === undefined || given.has(whole)) buffers[index + 1] = copyOf(segment, spare)
    else given.set(whole, index + 1)
  }
  for (const [buffer, index] of given) buffers[index] = detached(buffer, spare)
  return buffers.filter((buffer) => buffer !== undefined)
}

/** The buffer that a view covers from its beginning to its end, if it may be passed on as it is. */
function wholeBuffer({ buffer, byteLength }: Uint8Array): ArrayBuffer | undefined {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength !== byteLength) return undefined
  // A resizable one would stay so on the other side.
  return 'resizable' in buffer && buffer.resizable === true ? undefined : buffer
}

function detached(buffer: ArrayBuffer, spare: SpareMemory): ArrayBuffer {
  try {
    return structuredClone(buffer, { transfer: [buffer] })
  } catch {
    // Memory that cannot be given away, such as that of WebAssembly.
    return copyOf(new Uint8Array(buffer), spare)
  }
}

function copyOf(bytes: Uint8Array, spare: SpareMemory): ArrayBuffer {
  try {
    // All of it is written at once: no need to clear it first.
    const memory = spare.take(bytes.byteLength) ?? Buffer.allocUnsafeSlow(bytes.byteLength).buffer
    new Uint8Array(memory).set(bytes)
    return memory
  } catch (cause) {
    throw createError(
      'OBJECT_TOO_LARGE',
      `This machine has no ${bytes.byteLength} bytes for the copy of an array that is sent. Send it with { transfer: true }, or in parts.`,
      { details: { byteLength: bytes.byteLength }, cause },
    )
  }
}
