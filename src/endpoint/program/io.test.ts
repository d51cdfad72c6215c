import { describe, expect, it } from 'vitest'
import { encodeRoute, encodeStreamBegin } from '../../wire/objectHeader.ts'
import { createPortPair } from '../threads/portPair.ts'
import { EndpointTable } from './io.ts'

describe('The endpoints of a program', () => {
  it('get each the records that are for them, and hold no memory for one that is gone', async () => {
    const table = new EndpointTable()
    const { program, io } = createPortPair(table, { record: () => undefined })
    table.waker = program.waker
    const taken: number[] = []
    const id = table.add({
      record: (_, start, end) => taken.push(end - start),
      failed: () => undefined,
    })
    const route = encodeRoute({ kind: 'produce', groups: ['g'], copies: [1] })
    for (const [endpoint, attachment] of [
      [id, 1],
      [id + 1, 2],
    ] as const) {
      io.waker.sendAttachment(attachment, [new ArrayBuffer(8)])
      const begin = encodeStreamBegin(route, 0, 0, attachment, 8)
      io.write(endpoint, begin, 0, begin.length)
    }
    await new Promise((resolve) => setImmediate(resolve))
    expect(taken).toHaveLength(1)
    expect(program.waker.takeAttachment(1)).toHaveLength(1)
    expect(program.waker.takeAttachment(2)).toHaveLength(0)
  })
})
