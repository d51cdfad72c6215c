import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { graph, tree } from '../support/arbitraryObjects.ts'
import { throughMemory, throughParts } from '../support/objects.ts'
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
})
