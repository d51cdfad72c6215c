import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../clock.fixture.ts'
import { createError } from '../../errors.ts'
import { endpointLimitDefaults } from '../../limits.ts'
import { makeSessionSecret } from '../../security/endpointId.ts'
import type { Transport } from '../../transport/transport.ts'
import { encodeJson } from '../../wire/controlFrames.ts'
import { FrameType } from '../../wire/frameTypes.ts'
import { readUint32 } from '../../wire/integers.ts'
import {
  encodeRoute,
  encodeStreamBegin,
  OBJECT_HEAD_BYTES,
  STREAM_BEGIN_TAIL_BYTES,
  writeObjectHead,
} from '../../wire/objectHeader.ts'
import { RecordType } from '../records.ts'
import { createPortPair } from '../threads/portPair.ts'
import { EndpointSession } from './session.ts'
import { TicketPool } from './ticketPool.ts'

const route = encodeRoute({ kind: 'produce', groups: ['g'], copies: [1] })

function smallObject(): Buffer {
  const frame = Buffer.alloc(OBJECT_HEAD_BYTES + route.destinations.length + 10)
  writeObjectHead(frame, 0, FrameType.OBJECT, route, 0, 0)
  frame.writeUInt32LE(frame.length)
  return frame
}

/** A session that has sent a small and a large object to nobody; what it tells the program, in words. */
function openSession(connect: () => Promise<Transport>) {
  const told: string[] = []
  const ports = createPortPair(
    {
      record(_, buffer, start, end) {
        const type = buffer[start + 4]
        if (type === RecordType.RETURNED) told.push('returned')
        else if (type === RecordType.STATE) told.push('state')
        else if (type === RecordType.STOPPED) told.push('stopped')
        else if (type === FrameType.OBJECT) told.push('small')
        else if (type === FrameType.STREAM_BEGIN) {
          const attachment = readUint32(buffer, end - STREAM_BEGIN_TAIL_BYTES)
          const parts = ports.program.waker.takeAttachment(attachment)
          told.push(`large ${attachment}: ${parts.map(({ byteLength }) => byteLength).join()}`)
        }
      },
    },
    { record: (_, buffer, start, end) => session.record(buffer, start, end) },
  )
  const clock = new FakeClock()
  let attachments = 100
  const reconnect = { initialDelayMs: 1_000, maxDelayMs: 1_000, factor: 1, jitter: 0 }
  const session = new EndpointSession(
    1,
    {
      ...{ host: '127.0.0.1', port: 1, password: 'correct horse battery staple', groups: [], broadcasts: 'every' },
      ...{ session: makeSessionSecret(), name: 'worker' },
      ...{ security: 'none', reconnect, limits: { ...endpointLimitDefaults } },
    },
    {
      ...{ port: ports.io, clock, tickets: new TicketPool(clock), connect },
      nextAttachment: () => ++attachments,
      ended: () => undefined,
    },
  )
  // Another large object is on its way to the program under the number that this one has on its way from it.
  ports.io.waker.sendAttachment(7, [new ArrayBuffer(3)])
  ports.program.waker.sendAttachment(7, [new ArrayBuffer(100_000)])
  for (const record of [smallObject(), encodeStreamBegin(route, 1, 0, 7, 100_000)])
    ports.program.write(1, record, 0, record.length)
  const stop = (deadlineMs: number) => {
    const record = encodeJson(RecordType.STOP, { deadlineMs })
    ports.program.write(1, record, 0, record.length)
  }
  return { told, ports, clock, stop }
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 20))

describe('What a session has sent and the relay has not accepted', () => {
  it('comes back at the deadline of a stop, and takes the place of nothing else', async () => {
    const { told, ports, clock, stop } = openSession(() => new Promise(() => undefined))
    await settled()
    stop(50)
    await settled()
    clock.advance(50)
    await settled()
    expect(told).toEqual(['returned', 'small', 'returned', 'large 101: 100000', 'stopped'])
    expect(ports.program.waker.takeAttachment(7)).toHaveLength(1)
  })

  it('comes back when the relay refuses the endpoint for good', async () => {
    const refusal = createError('CERTIFICATE_UNTRUSTED', 'Nobody knows this relay.')
    const { told } = openSession(async () => {
      await settled()
      throw refusal
    })
    await settled()
    await settled()
    await settled()
    expect(told).toEqual(['returned', 'small', 'returned', 'large 101: 100000', 'state'])
  })
})
