import { describe, expect, it } from 'vitest'
import { FakeClock } from '../clock.fixture.ts'
import { createMemoryLink } from './memoryTransport.ts'

function setUp(split?: (bytes: number) => readonly number[]) {
  const clock = new FakeClock()
  const link = createMemoryLink({ schedule: (run) => clock.soon(run), ...(split === undefined ? {} : { split }) })
  const received: string[] = []
  const closed: (string | undefined)[] = []
  link.far.onData = (bytes) => received.push(bytes.toString())
  link.far.onClose = (error) => closed.push(error?.message)
  return { clock, link, received, closed }
}

describe('Two transports in memory', () => {
  it('deliver later, in order, in the pieces that were asked for, and a copy', () => {
    const { clock, link, received } = setUp((bytes) => [1, bytes - 1])
    const bytes = Buffer.from('one')
    link.near.write(bytes)
    bytes.fill(0)
    link.near.write(Buffer.from('two'))
    expect(received).toEqual([])
    expect(link.near.pendingBytes).toBe(6)
    clock.settle()
    expect(received).toEqual(['o', 'ne', 't', 'wo'])
    expect(link.near.pendingBytes).toBe(0)
  })

  it('lose what is under way when they are cut, and both learn of it', () => {
    const { clock, link, received, closed } = setUp()
    let nearClosed = 0
    link.near.onClose = () => nearClosed++
    link.near.write(Buffer.from('lost'))
    link.cut(new Error('reset'))
    clock.settle()
    expect([received, closed, nearClosed]).toEqual([[], ['reset'], 1])
    expect(link.near.closed).toBe(true)
  })

  it('end after what was written before', () => {
    const { clock, link, received, closed } = setUp()
    link.near.write(Buffer.from('last'))
    link.near.end()
    link.near.write(Buffer.from('too late'))
    clock.settle()
    expect([received, closed]).toEqual([['last'], [undefined]])
  })

  it('keep what comes while the reader pauses, and say so', () => {
    const { clock, link, received } = setUp()
    let drains = 0
    link.near.onDrain = () => drains++
    link.far.pause()
    link.near.write(Buffer.from('wait'))
    clock.settle()
    expect([received, link.near.pendingBytes, drains]).toEqual([[], 4, 0])
    link.far.resume()
    clock.settle()
    expect([received, link.near.pendingBytes, drains]).toEqual([['wait'], 0, 1])
  })

  it('say nothing when the cable is pulled', () => {
    const { clock, link, received, closed } = setUp()
    link.mute()
    link.near.write(Buffer.from('into the void'))
    link.near.destroy()
    clock.settle()
    expect([received, closed]).toEqual([[], []])
  })
})
