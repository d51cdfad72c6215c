import { describe, expect, test } from 'vitest'
import { encode } from '../../test/support/objects.ts'
import { BodyAssembler } from './bodyAssembler.ts'
import { ObjectDecoder } from './decoder.ts'

const object = { weights: new Float32Array(2000).fill(2), bytes: Buffer.alloc(5000, 7), name: 'model' }
const body = encode(object)

describe('a body that arrives in chunks', () => {
  test('is put together from chunks of any size', () => {
    for (const size of [1, 7, 16, 17, 40, 4096, 1 << 20]) {
      const assembler = new BodyAssembler(body.length)
      for (let offset = 0; offset < body.length; offset += size)
        assembler.writeAt(offset, body.subarray(offset, offset + size))
      expect(assembler.complete).toBe(true)
      expect(assembler.received).toBe(body.length)
      expect(new ObjectDecoder().decodeParts(assembler.finish())).toStrictEqual(object)
    }
  })

  test('gives memory that can be transferred, each segment in exactly its size', () => {
    const assembler = new BodyAssembler(body.length)
    assembler.writeAt(0, body)
    const { head, segments } = assembler.finish()
    expect(segments.map((segment) => segment.byteLength)).toEqual([8000, 5000])
    const moved = structuredClone({ head, segments }, { transfer: [head.buffer, ...segments] })
    expect(new ObjectDecoder().decodeParts(moved)).toStrictEqual(object)
  })

  test('may repeat what was there, but leave no gap and not go beyond its end', () => {
    const assembler = new BodyAssembler(body.length)
    assembler.writeAt(0, body.subarray(0, 1000))
    assembler.writeAt(0, body.subarray(0, 500))
    expect(assembler.received).toBe(1000)
    expect(() => assembler.writeAt(1001, body.subarray(1001, 1010))).toThrow(/begins at byte 1001/)
    expect(() => assembler.writeAt(500, Buffer.alloc(body.length))).toThrow(/beyond/)
    expect(() => assembler.finish()).toThrow(/Only 1000/)
    assembler.writeAt(900, body.subarray(900))
    expect(new ObjectDecoder().decodeParts(assembler.finish())).toStrictEqual(object)
  })

  test('is refused as soon as its header cannot be true', () => {
    expect(() => new BodyAssembler(0)).toThrow(/empty/)
    expect(() => new BodyAssembler(101, { objectBytesMax: 100 })).toThrow(/objectBytesMax is 100/)
    expect(() => new BodyAssembler(100).writeAt(0, Uint8Array.of(7))).toThrow(/form 7/)
    const wrong = Buffer.from(body)
    wrong.writeUInt32LE(8001, 16)
    expect(() => new BodyAssembler(body.length).writeAt(0, wrong.subarray(0, 40))).toThrow(/add up/)
    const huge = Buffer.from(body)
    huge.writeUInt32LE(1 << 20, 20)
    expect(() => new BodyAssembler(body.length).writeAt(0, huge.subarray(0, 40))).toThrow(/in a body of/)
  })

  test('takes empty segments and cut headers for what they are', () => {
    const empty = Buffer.from(`0100000001000000${'06000000000000000000000000000000'}da6f626a0000`, 'hex')
    const assembler = new BodyAssembler(empty.length)
    assembler.writeAt(0, empty)
    expect(new ObjectDecoder().decodeParts(assembler.finish())).toStrictEqual(Buffer.alloc(0))
    const cut = new BodyAssembler(5)
    expect(() => cut.writeAt(0, body.subarray(0, 5))).toThrow(/cut off/)
  })
})
