import { type Packing, packingDefaults } from '../../core/ports.ts'
import type { StoredObject } from '../store.ts'
import { SEGMENT_BYTES_MAX } from './blockFormat.ts'
import { type FrameSource, LogFrame } from './logFrame.ts'

/** How many segments of one run can be told from each other. */
const SEGMENTS_MAX = Math.floor(Number.MAX_SAFE_INTEGER / SEGMENT_BYTES_MAX)

/** Tells frames by one number: where they lie. `first` is the first segment that there is in this run. */
export function framePacking(source: FrameSource, first: number): Packing<StoredObject> {
  return {
    ...packingDefaults,
    pack(object) {
      // A run is told by its one handle: that is less than 20 bytes for each of its objects.
      if (!(object instanceof LogFrame) || object.objects > 1) return Number.NaN
      const segment = object.segment - first
      // A frame that was released lies before all.
      return segment >= 0 && segment < SEGMENTS_MAX ? segment * SEGMENT_BYTES_MAX + object.offset : Number.NaN
    },
    unpack(packed, bytes) {
      const segment = Math.floor(packed / SEGMENT_BYTES_MAX)
      const offset = packed - segment * SEGMENT_BYTES_MAX
      return new LogFrame(source, { segment: first + segment, offset }, bytes, 1)
    },
  }
}
