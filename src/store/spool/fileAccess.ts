import type { FileHandle } from 'node:fs/promises'

/** Writes all of `parts` from `position` on; returns how many bytes. */
export async function writeFully(handle: FileHandle, position: number, parts: readonly Buffer[]): Promise<number> {
  let left = [...parts]
  let at = position
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left, at)
    if (bytesWritten === 0) throw new Error('Nothing could be written.')
    at += bytesWritten
    left = partsFrom(left, bytesWritten)
  }
  return at - position
}

/** Fills `into` with what lies from `position` on. */
export async function readFully(handle: FileHandle, position: number, into: Buffer): Promise<void> {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await handle.read(into, at, into.length - at, position + at)
    if (bytesRead === 0) throw new Error(`The file ends at byte ${position + at}, before what should be in it.`)
    at += bytesRead
  }
}

/** Cuts parts so that those of the first list have `firstBytes` together, and those of each other one `bytes`; the last may have less. */
export function* cutParts(parts: readonly Buffer[], firstBytes: number, bytes: number): Generator<Buffer[]> {
  let room = firstBytes
  let list: Buffer[] = []
  for (const part of parts) {
    for (let at = 0; at < part.length; ) {
      const piece = part.subarray(at, at + room)
      list.push(piece)
      at += piece.length
      room -= piece.length
      if (room > 0) continue
      yield list
      list = []
      room = bytes
    }
  }
  if (list.length > 0) yield list
}

function partsFrom(parts: readonly Buffer[], skippedBytes: number): Buffer[] {
  let skipped = skippedBytes
  const rest: Buffer[] = []
  for (const part of parts) {
    if (skipped < part.length) rest.push(part.subarray(skipped))
    skipped = Math.max(0, skipped - part.length)
  }
  return rest
}
