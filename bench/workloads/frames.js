import { FrameReader } from '../../dist/wire/frameReader.js'
import { FrameType } from '../../dist/wire/frameTypes.js'
import { writeUint32 } from '../../dist/wire/integers.js'
import { encodeRoute, OBJECT_HEAD_BYTES, writeObjectHead } from '../../dist/wire/objectHeader.js'
import { OutgoingLog } from '../../dist/wire/outgoingLog.js'
import { Slab } from '../../dist/wire/slab.js'
import { rateOf } from '../harness/rate.js'

const route = encodeRoute({ kind: 'produce', groups: ['bench'], copies: [1] })
const headBytes = OBJECT_HEAD_BYTES + route.destinations.length
/** The encoded small object of W1, and objects that are still one frame. */
const bodies = [
  { name: '127 B', bytes: 127 },
  { name: '1 KiB', bytes: 1024 },
  { name: '16 KiB', bytes: 16 * 1024 },
]
const batchBytes = 64 * 1024
/** What TLS delivers at once. */
const chunkBytes = 16 * 1024

/**
 * @param {Buffer} target
 * @param {number} start
 * @param {number} bodyBytes
 */
function writeHead(target, start, bodyBytes) {
  writeUint32(target, start, headBytes + bodyBytes)
  return writeObjectHead(target, start, FrameType.OBJECT, route, 1, 1)
}

/**
 * A batch of frames as it arrives: in chunks, some of which end within a frame.
 * @param {number} bodyBytes
 */
function arrivingBatch(bodyBytes) {
  const frameBytes = headBytes + bodyBytes
  const frames = Math.floor(batchBytes / frameBytes)
  const bytes = Buffer.alloc(frames * frameBytes)
  for (let index = 0; index < frames; index++) writeHead(bytes, index * frameBytes, bodyBytes)
  const chunks = []
  for (let at = 0; at < bytes.length; at += chunkBytes) chunks.push(bytes.subarray(at, at + chunkBytes))
  return { frames, bytes, chunks }
}

/** What one variant does with a batch. @type {Record<string, (bodyBytes: number) => { frames: number, operation: () => void }>} */
const variants = {
  'blind copying'(bodyBytes) {
    const { frames, chunks } = arrivingBatch(bodyBytes)
    const target = Buffer.allocUnsafeSlow(batchBytes)
    const operation = () => {
      let at = 0
      for (const chunk of chunks) at += chunk.copy(target, at)
    }
    return { frames, operation }
  },
  'frames in'(bodyBytes) {
    const { frames, chunks } = arrivingBatch(bodyBytes)
    let seen = 0
    const handler = {
      frame() {
        seen += 1
      },
      chunk() {},
    }
    const reader = new FrameReader(handler)
    const operation = () => {
      seen = 0
      for (const chunk of chunks) reader.push(chunk)
      if (seen !== frames) throw new Error(`${seen} of ${frames} frames were found`)
    }
    return { frames, operation }
  },
  'frames out'(bodyBytes) {
    const { frames } = arrivingBatch(bodyBytes)
    const body = Buffer.alloc(bodyBytes, 1)
    const slab = new Slab()
    const log = new OutgoingLog()
    const operation = () => {
      for (let index = 0; index < frames; index++) {
        slab.reserve(headBytes + bodyBytes)
        const start = slab.end
        const at = writeHead(slab.buffer, start, bodyBytes)
        body.copy(slab.buffer, at)
        slab.end = at + bodyBytes
        log.append(slab.buffer, start, slab.end)
      }
      while (log.takeUnsent() !== undefined);
      if (!log.confirm(log.appendedFrames)) throw new Error('the log does not know its own frames')
    }
    return { frames, operation }
  },
}

/** @param {import('../harness/types.js').RoleContext} context */
async function framesRole({ variant, parameters: { forMs = 0 } }) {
  return {
    async run() {
      /** @type {Record<string, number>} */
      const rates = {}
      for (const { name, bytes } of bodies) {
        const made = variants[variant]?.(bytes)
        if (made !== undefined) rates[name] = rateOf(made.operation, forMs) * made.frames
      }
      return rates
    },
    stop: async () => {},
  }
}

/** @type {import('../harness/types.js').Workload} */
export const workload = {
  name: 'frames',
  title: 'frames in and out by the size of the body, for a second of processor time, against copying the same bytes',
  variants: Object.keys(variants),
  phases: ['run'],
  parameters: (scale) => ({ forMs: 200 * scale }),
  roles: { frames: framesRole },
  objects: () => 1,
  measure({ results }) {
    const rates = Object.entries(results.run?.frames ?? {})
    return rates.map(([name, value]) => ({ name, unit: '', value, better: 'higher' }))
  },
}
