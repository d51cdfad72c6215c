import { describe, expect, it } from 'vitest'
import { encodeText } from './controlFrames.ts'
import { FrameType } from './frameTypes.ts'
import { bytesOf, OutgoingLog } from './outgoingLog.ts'
import { Slab } from './slab.ts'

function append(log: OutgoingLog, slab: Slab, text: string): void {
  const frame = encodeText(FrameType.BLOCKED, text)
  const at = slab.copy(frame, 0, frame.length)
  log.append(slab.buffer, at, at + frame.length)
}

/** All that is unsent, as bytes. */
function send(log: OutgoingLog): string {
  const parts: Buffer[] = []
  for (let run = log.takeUnsent(); run !== undefined; run = log.takeUnsent()) {
    parts.push(run.buffer.subarray(run.start, run.end), ...(run.tail ?? []))
  }
  return Buffer.concat(parts).toString('latin1')
}

function encoded(...texts: string[]): string {
  return texts.map((text) => encodeText(FrameType.BLOCKED, text).toString('latin1')).join('')
}

describe('The log of outgoing frames', () => {
  it('gives frames that lie in a row as one run', () => {
    const log = new OutgoingLog()
    const slab = new Slab()
    for (const text of ['one', 'two', 'three']) append(log, slab, text)
    expect(log.takeUnsent()?.frames).toBe(3)
    expect(log.hasUnsent).toBe(false)
  })

  it('lets go of the confirmed part of a run', () => {
    const log = new OutgoingLog()
    const slab = new Slab()
    for (const text of ['one', 'two', 'three']) append(log, slab, text)
    send(log)
    expect(log.confirm(2)).toBe(true)
    expect(log.bytes).toBe(encoded('three').length)
    expect(log.rewind(2)).toBe(true)
    expect(send(log)).toBe(encoded('three'))
  })

  it('sends everything that the peer did not receive again, in order and before what is new', () => {
    const log = new OutgoingLog()
    const slab = new Slab()
    append(log, slab, 'one')
    log.appendParts(Buffer.from(encoded('head')), [Buffer.from(encoded('tail'))])
    append(log, slab, 'two')
    send(log)
    append(log, slab, 'unsent')
    expect(log.rewind(1)).toBe(true)
    append(log, slab, 'new')
    expect(send(log)).toBe(encoded('head', 'tail', 'two', 'unsent', 'new'))
    expect(log.confirm(5)).toBe(true)
    expect(log.bytes).toBe(0)
  })

  it('refuses a confirmation of what was not sent, or of less than before', () => {
    const log = new OutgoingLog()
    const slab = new Slab()
    append(log, slab, 'one')
    expect(log.confirm(1)).toBe(false)
    send(log)
    expect(log.confirm(1)).toBe(true)
    for (const frames of [0, 2, -1, Number.NaN]) expect(log.confirm(frames)).toBe(false)
  })

  it('counts the bytes that it keeps, and keeps none in the end', () => {
    const log = new OutgoingLog()
    for (let index = 0; index < 5_000; index++) {
      const frame = encodeText(FrameType.BLOCKED, String(index))
      log.append(frame, 0, frame.length)
      const run = log.takeUnsent()
      expect(run === undefined ? 0 : bytesOf(run)).toBe(frame.length)
      if (index >= 100) expect(log.confirm(index - 99)).toBe(true)
      expect(log.bytes).toBeLessThan(101 * 10)
    }
    expect(log.confirm(5_000)).toBe(true)
    expect(log.bytes).toBe(0)
  })
})
