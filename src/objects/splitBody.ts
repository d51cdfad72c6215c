import { fixedLimits } from '../limits.ts'
import { copyOfBytes } from '../memoryCopy.ts'
import { bodyForm, readSegmentedLayout, type SegmentedLayout } from './bodyFormat.ts'

/** A body whose segments were copied into memory of their own. */
export interface SplitBody {
  /** Where the head ends, which begins where the body does. */
  readonly headEnd: number
  readonly segments: readonly ArrayBuffer[]
}

/**
 * Copies the segments of a body that lies in memory which is used again. `undefined` if it has none that are worth it: it is
 * to be kept in one piece, also if it is malformed, which is found out when it is decoded.
 */
export function splitBody(bytes: Buffer, start: number, end: number): SplitBody | undefined {
  const layout = layoutOf(bytes, start, end)
  // Small ones would take more memory than they count.
  if (layout === undefined || layout.lengths.some((length) => length < fixedLimits.segmentBytesMin)) return undefined
  const headEnd = start + layout.cborEnd
  const segments: ArrayBuffer[] = []
  let position = headEnd
  for (const length of layout.lengths) {
    segments.push(copyOfBytes(bytes, position, position + length))
    position += length
  }
  return { headEnd, segments }
}

function layoutOf(bytes: Buffer, start: number, end: number): SegmentedLayout | undefined {
  if (bytes[start] !== bodyForm.segmented) return undefined
  try {
    return readSegmentedLayout(bytes, start, end - start)
  } catch {
    return undefined
  }
}
