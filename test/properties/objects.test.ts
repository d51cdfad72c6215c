import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ObjectRelayError } from '../../src/errors.ts'
import { ObjectEncoder } from '../../src/objects/encoder.ts'
import { classError, graph, tree, unsendable } from '../support/arbitraryObjects.ts'
import { decode, encode, throughMemory, throughParts } from '../support/objects.ts'
import { sameGraph } from '../support/sameGraph.ts'

const chunkSizes = fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 5 })
const runs = { numRuns: 1500 }

/** Node's own comparison, and ours, which sees more: which objects are one, the order of keys, invalid dates. */
function expectSame(sent: unknown, received: unknown): void {
  expect(sameGraph(sent, received)).toBe(true)
  expect(isDeepStrictEqual(received, sent)).toBe(true)
}

describe('any object', () => {
  test('comes out of one piece of memory as it went in', () => {
    fc.assert(
      fc.property(tree, (object) => expectSame(object, throughMemory(object))),
      runs,
    )
  })

  test('comes out of parts that arrive in any chunks as it went in', () => {
    fc.assert(
      fc.property(tree, chunkSizes, (object, sizes) => expectSame(object, throughParts(object, sizes))),
      runs,
    )
  })

  test('keeps which objects are one and the same, in circles too', () => {
    fc.assert(
      fc.property(graph, chunkSizes, (object, sizes) => {
        // Node's comparison itself does not end for errors that cause each other.
        expect(sameGraph(object, throughMemory(object))).toBe(true)
        expect(sameGraph(object, throughParts(object, sizes))).toBe(true)
      }),
      runs,
    )
  })

  test('comes out of whatever room it is given as it went in, and is looked at once', () => {
    const encoder = new ObjectEncoder()
    const target = Buffer.alloc(9000)
    fc.assert(
      fc.property(tree, fc.nat(9000), (object, limit) => {
        let looks = 0
        const looked = {
          get object() {
            looks++
            return object
          },
        }
        const encoded = encoder.encodeInto(looked, target, 0, limit)
        const body =
          typeof encoded === 'number' ? target.subarray(0, encoded) : Buffer.concat([encoded.head, ...encoded.segments])
        expect(looks).toBe(1)
        expect(sameGraph({ object }, decode(body))).toBe(true)
      }),
      runs,
    )
  })

  test('is refused beyond any bound below its size, and sent within any other', () => {
    fc.assert(
      fc.property(tree, fc.nat(20_000), (object, objectBytesMax) => {
        const { byteLength } = new ObjectEncoder().encodeParts(object)
        const bounded = new ObjectEncoder({ objectBytesMax })
        if (byteLength <= objectBytesMax) expect(bounded.encodeParts(object).byteLength).toBe(byteLength)
        else expect(() => bounded.encodeParts(object)).toThrow(/objectBytesMax is/)
      }),
      runs,
    )
  })
})

describe('any error', () => {
  test('comes out with its name, message, code, stack and cause, also when its class has getters', () => {
    fc.assert(
      fc.property(classError, fc.nat(3), (sent, hops) => {
        let error: unknown = sent
        for (let hop = 0; hop <= hops; hop++) error = throughMemory(error)
        const what = ({ name, message, stack, cause }: Error) => ({ name, message, stack, cause })
        if (!(error instanceof Error)) throw new Error('not an error')
        expect(what(error)).toEqual(what(sent))
        expect(Reflect.get(error, 'code')).toBe(Reflect.get(sent, 'code'))
        expect(error instanceof DOMException).toBe(sent instanceof DOMException)
      }),
    )
  })
})

describe('any value that cannot be sent', () => {
  test('is refused with a typed error, wherever it is, and nothing is left of it', () => {
    fc.assert(
      fc.property(tree, unsendable, (object, value) => {
        for (const where of [
          value,
          [object, value],
          { object, value },
          new Map([[object, value]]),
          new Error('', { cause: value }),
        ]) {
          try {
            encode(where)
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(ObjectRelayError)
            expect(thrown).toMatchObject({
              code: 'NOT_SERIALIZABLE',
              details: { path: expect.stringMatching(/^object/) },
            })
            continue
          }
          throw new Error('it was not refused')
        }
        expect(sameGraph(throughMemory(object), object)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })
})
