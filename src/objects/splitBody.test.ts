import { describe, expect, it } from 'vitest'
import { bodyForm } from './bodyFormat.ts'
import { ObjectDecoder } from './decoder.ts'
import { ObjectEncoder } from './encoder.ts'
import { splitBody } from './splitBody.ts'

function encoded(object: unknown): Buffer {
  const { head, segments } = new ObjectEncoder().encodeParts(object)
  return Buffer.concat([head, ...segments])
}

describe('Splitting a body', () => {
  it('gives each array memory of its own, and leaves the head where it is', () => {
    const object = { id: 7, a: new Float64Array(1_000).fill(2), b: new Uint8Array(5_000).fill(3) }
    const body = encoded(object)
    const split = splitBody(body, 0, body.length)
    expect(split?.segments.map(({ byteLength }) => byteLength)).toEqual([8_000, 5_000])
    const head = Buffer.from(body.subarray(0, split?.headEnd))
    body.fill(0)
    expect(new ObjectDecoder().decodeParts({ head, segments: split?.segments ?? [] })).toEqual(object)
  })

  it('leaves a body without arrays in one piece, and one of the user’s own serializer', () => {
    const body = encoded({ id: 7 })
    expect(splitBody(body, 0, body.length)).toBeUndefined()
    expect(splitBody(Buffer.of(bodyForm.own, 1, 2), 0, 3)).toBeUndefined()
  })

  it('leaves a malformed one in one piece, to be found unreadable when it is decoded', () => {
    const body = encoded({ a: new Float64Array(1_000) })
    for (const end of [1, 15, 20, body.length - 1]) expect(splitBody(body, 0, end)).toBeUndefined()
  })

  it('leaves small segments where they are: each would take more memory than it counts', () => {
    // Form 1, one segment; 1 byte of CBOR, 10 bytes of segment.
    const body = Buffer.alloc(16 + 8 + 1 + 10)
    body.set([bodyForm.segmented, 0, 0, 0, 1, 0, 0, 0, 1], 0)
    body[16] = 10
    expect(splitBody(body, 0, body.length)).toBeUndefined()
  })
})
