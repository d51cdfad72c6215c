import { describe, expect, it } from 'vitest'
import type { Delivery } from './program/endpointTypes.ts'
import { RestartedRelay } from './restartedRelay.fixture.ts'

/** Takes one object, which stays unsettled. */
async function take(world: RestartedRelay): Promise<Delivery> {
  const { value } = await world.endpoint.deliveries().next()
  if (value === undefined) throw new Error('There was nothing to take.')
  return value
}

const large = { weights: new Float64Array(20_000).fill(2) }

describe('After a restart of a relay that keeps its leases, an endpoint', () => {
  it('claims what its program works on, settles it later, and asks again for what lay in its inbox', async () => {
    const world = await RestartedRelay.open()
    await world.endpoint.notify({ g: 4 })
    for (const [sequence, object] of ['a', 'b', 'c', 'd'].entries()) await world.deliver(object, sequence)
    const [a, b] = [await take(world), await take(world)]
    expect([a.object, b.object]).toEqual(['a', 'b'])
    expect(await world.restart()).toMatchObject({ reclaims: true, received: expect.any(Number), epoch: 1 })
    expect(await world.told()).toEqual([
      'reclaim 3/0 attempt 1 as +0',
      'reclaim 3/1 attempt 1 as +1',
      'reclaim end',
      'notify g 2',
    ])
    await world.deliver('c', 2)
    b.ack()
    expect(await world.told()).toEqual(['acknowledge +1 to +1'])
    a.release()
    expect(await world.told()).toEqual(['release +0 to +0'])
    expect(await world.endpoint.retrieveAll()).toEqual(['c'])
    expect(await world.told()).toEqual(['acknowledge 0 to 0'])
    expect(world.errors).toEqual([])
  })

  it('claims by what the object was delivered as, byte by byte', async () => {
    const world = await RestartedRelay.open()
    await world.deliver('a', 7, { source: 9 })
    const stamps = { groups: ['x', 'g'], groupIndex: 1, isDead: true, attempt: 6, source: 0xffff_fffe }
    await world.deliver('b', 0xffff_0000_0001, stamps)
    await take(world)
    await take(world)
    await world.restart()
    expect(world.reclaims).toEqual([
      '200000003a0001000900000007000000000000000000000000000100'.padEnd(64, '0'),
      '200000003a010601feffffff01000000ffff00000100000000000100'.padEnd(64, '0'),
    ])
  })

  it('settles again what the relay may not know, and claims nothing that it knows', async () => {
    const world = await RestartedRelay.open()
    for (let sequence = 0; sequence < 7; sequence++) await world.deliver(sequence, sequence)
    world.endpoint.work('h', () => {
      throw new Error('no use')
    })
    await world.endpoint.pop({ maxItems: 2 })
    expect(await world.told()).toEqual(['notify h 1', 'acknowledge 0 to 1'])
    await world.confirm(2)
    await world.endpoint.pop()
    ;(await take(world)).release()
    await world.endpoint.pop({ maxItems: 2 })
    await world.deliver('work', 8, { groups: ['h'] })
    expect(await world.told()).toEqual([
      'acknowledge 2 to 2',
      'release 3 to 3',
      'acknowledge 4 to 5',
      'release counted 7 to 7',
      'notify h 1',
    ])
    await world.confirm(3)
    await world.restart()
    // Lease 3 goes back as whatever is not claimed does; 6 was in the inbox.
    expect(await world.told()).toEqual([
      'notify h 1',
      'reclaim 3/4 attempt 1 as +4',
      'reclaim 3/5 attempt 1 as +5',
      'acknowledge +4 to +5',
      'reclaim 3/8 attempt 1 as +7',
      'release counted +7 to +7',
      'reclaim end',
      'notify g 1',
    ])
  })

  it('claims of equal copies as many as are still there, whatever became of them', async () => {
    const world = await RestartedRelay.open()
    for (let lease = 0; lease < 5; lease++) await world.deliver('copy', 5)
    const [first, second, third] = [await take(world), await take(world), await take(world), await take(world)]
    second.ack()
    await world.told()
    first.release()
    await world.told()
    third.ack()
    await world.told()
    // The first acknowledgement had its effect, though that was not confirmed; the fifth copy was not taken.
    await world.restart({ receivedBefore: 2 })
    expect(await world.told()).toEqual([
      'reclaim 3/5 attempt 1 as +3',
      'reclaim 3/5 attempt 1 as +2',
      'acknowledge +2 to +2',
      'reclaim end',
      'notify g 1',
    ])
  })

  it('claims what was settled in vain after each further restart, until it was not in vain', async () => {
    const world = await RestartedRelay.open()
    for (const sequence of [0, 1, 2]) await world.deliver(sequence, sequence)
    for (const sequence of [0, 1, 2]) {
      expect(await world.endpoint.pop()).toEqual([sequence])
      await world.told()
    }
    await world.restart({ receivedBefore: 1 })
    const again = ['reclaim 3/1 attempt 1 as +1', 'reclaim 3/2 attempt 1 as +2', 'acknowledge +1 to +2', 'reclaim end']
    expect(await world.told()).toEqual(again)
    await world.restart({ receivedBefore: 0 })
    expect(await world.told()).toEqual(again)
    await world.restart({ receivedBefore: 3 })
    expect(await world.told()).toEqual(['reclaim end'])
  })

  it('does not believe a relay that received more than was sent', async () => {
    const world = await RestartedRelay.open()
    await world.deliver('a', 0)
    await world.endpoint.pop()
    await world.told()
    await world.restart({ receivedBefore: 100 })
    expect(world.relay.closed).toBe(true)
  })

  it('waits with the end of its claims for a program that is busy, and goes on meanwhile', async () => {
    const world = await RestartedRelay.open()
    await world.deliver('taken', 0)
    const taken = await take(world)
    world.busy = true
    await world.deliver('not even read', 1)
    await world.endpoint.notify('h')
    await world.restart()
    expect(await world.told()).toEqual(['notify h 1'])
    await world.deliver('of the new session', 2, { groups: ['h'] })
    for (let ms = 0; ms < 60_000; ms += 4_000) {
      world.clock.advance(4_000)
      await world.confirm(1)
    }
    expect(await world.told()).toEqual([])
    expect(world.relay.closed).toBe(false)
    world.busy = false
    expect(await world.told()).toEqual(['reclaim 3/0 attempt 1 as +0', 'reclaim end', 'notify g 1'])
    taken.ack()
    expect(await world.endpoint.retrieveAll()).toEqual(['of the new session'])
    expect(await world.told()).toEqual(['acknowledge +0 to +0', 'acknowledge 0 to 0'])
  })

  it('claims at once what a busy program settles before it knows of the restart', async () => {
    const world = await RestartedRelay.open()
    for (const sequence of [0, 1, 2]) await world.deliver(`object ${sequence}`, sequence)
    const [first, second] = [await take(world), await take(world), await take(world)]
    world.busy = true
    await world.restart()
    second.ack()
    first.release()
    expect(await world.told()).toEqual([
      'reclaim 3/1 attempt 1 as +1',
      'acknowledge +1 to +1',
      'reclaim 3/0 attempt 1 as +0',
      'release +0 to +0',
    ])
    world.busy = false
    expect(await world.told()).toEqual(['reclaim 3/2 attempt 1 as +2', 'reclaim end'])
  })

  it('claims under the same numbers after each further restart, until the settlement is confirmed', async () => {
    const world = await RestartedRelay.open()
    for (const sequence of [0, 1, 2]) await world.deliver(sequence, sequence)
    const [first, second] = [await take(world), await take(world), await take(world)]
    await world.restart()
    await world.deliver('new', 3)
    const fourth = await take(world)
    first.ack()
    await world.told()
    await world.confirm(5)
    second.ack()
    await world.restart()
    expect(await world.told()).toEqual([
      'reclaim 3/2 attempt 1 as +2',
      'reclaim 3/3 attempt 1 as +3',
      'reclaim 3/1 attempt 1 as +1',
      'acknowledge +1 to +1',
      'reclaim end',
    ])
    await world.confirm(5)
    fourth.ack()
    await world.told()
    await world.restart()
    expect(await world.told()).toEqual([
      'reclaim 3/2 attempt 1 as +2',
      'reclaim 3/3 attempt 1 as +3',
      'acknowledge +3 to +3',
      'reclaim end',
    ])
  })

  it('claims once for all when its program slept through two restarts', async () => {
    const world = await RestartedRelay.open()
    await world.deliver('a', 0)
    const a = await take(world)
    await world.deliver('b', 1)
    world.busy = true
    await world.restart()
    await world.deliver('b', 1)
    await world.restart()
    expect(await world.told()).toEqual([])
    a.ack()
    expect(await world.told()).toEqual(['reclaim 3/0 attempt 1 as +0', 'acknowledge +0 to +0'])
    world.busy = false
    // The first b was dropped and asked for again, and so was the second one.
    expect(await world.told()).toEqual(['notify g 1', 'reclaim end', 'notify g 1'])
  })

  it('claims a large object that its program has, and asks again for one that was not whole', async () => {
    const world = await RestartedRelay.open()
    await world.endpoint.notify({ g: 2 })
    await world.deliverLarge(large, 0, true)
    await world.deliverLarge(large, 1, false)
    const taken = await take(world)
    expect(taken.object).toEqual(large)
    await world.restart()
    expect(await world.told()).toEqual(['notify g 1', 'reclaim 3/0 attempt 1 as +0', 'reclaim end'])
    taken.ack()
    expect(await world.told()).toEqual(['acknowledge +0 to +0'])
  })

  it('lets handlers of work() end as if nothing had happened', async () => {
    const world = await RestartedRelay.open()
    const ends: (() => void)[] = []
    world.endpoint.work('g', () => new Promise<void>((end) => ends.push(end)), { concurrency: 2 })
    await world.deliver('one', 0)
    await world.deliver('two', 1)
    await world.told()
    await world.restart()
    await world.restart()
    ends[0]?.()
    expect(await world.told()).toEqual([
      'reclaim 3/0 attempt 1 as +0',
      'reclaim 3/1 attempt 1 as +1',
      'reclaim end',
      'acknowledge +0 to +0',
      'notify g 1',
    ])
    expect(world.errors).toEqual([])
  })

  it('ends its claims at once when it has none, and when the relay is not the one of before', async () => {
    const world = await RestartedRelay.open()
    await world.restart()
    expect(await world.told()).toEqual(['reclaim end'])
    await world.deliver('a', 0)
    const taken = await take(world)
    await world.restart({ relay: 'another' })
    expect(await world.told()).toEqual(['reclaim end'])
    taken.ack()
    expect(await world.told()).toEqual([])
  })

  it('claims nothing when the relay has nothing for it, and drops what it had not taken', async () => {
    const world = await RestartedRelay.open()
    await world.deliver('taken', 0)
    await world.deliver('waiting', 1)
    const taken = await take(world)
    await world.restart({ reclaims: false })
    taken.ack()
    expect(await world.told()).toEqual(['notify g 1'])
    expect(await world.endpoint.retrieveAll()).toEqual([])
  })

  it('keeps what a relay that is no more had lent, whatever relay comes next', async () => {
    const world = await RestartedRelay.open()
    await world.deliver('kept', 0)
    await world.restart({ relay: 'another', reclaims: false })
    await world.deliver('lent', 1)
    await world.restart({ relay: 'another' })
    expect(await world.told()).toEqual(['reclaim end', 'notify g 1'])
    expect(await world.endpoint.retrieveAll()).toEqual(['kept'])
  })

  it('claims what it has settled before it says goodbye', async () => {
    const world = await RestartedRelay.open()
    await world.deliver('popped', 0)
    await world.deliver('waiting', 1)
    expect(await world.endpoint.pop()).toEqual(['popped'])
    world.busy = true
    await world.restart()
    const stopped = world.endpoint.stop()
    expect(await world.told()).toEqual([
      'reclaim 3/1 attempt 1 as +1',
      'release +1 to +1',
      'reclaim 3/0 attempt 1 as +0',
      'acknowledge +0 to +0',
      'reclaim end',
      'goodbye',
    ])
    await world.goodbye()
    world.busy = false
    expect(await stopped).toMatchObject({ deadlineReached: false })
  })

  it('claims nothing that came when its program had said its last word: nobody has seen it', async () => {
    const world = await RestartedRelay.open()
    await world.deliver('taken', 0)
    const delivery = await world.endpoint.deliveries().next()
    // As long as this is not accepted, there is no goodbye.
    void world.endpoint.produce('unanswered', 'g')
    const stopped = world.endpoint.stop()
    if (delivery.value !== undefined) delivery.value.ack()
    await world.deliver('too late', 1)
    world.busy = true
    await world.restart()
    const claims = (await world.told()).filter((what) => !what.startsWith('object'))
    expect(claims).toEqual(['reclaim 3/0 attempt 1 as +0', 'acknowledge +0 to +0', 'reclaim end'])
    stopped.catch(() => undefined)
  })

  it('tells its program that broadcasts may be missing, and that nothing is lent twice', async () => {
    const world = await RestartedRelay.open()
    const lost: unknown[] = []
    world.endpoint.on('sessionLost', (event) => lost.push(event))
    await world.deliver('taken', 0)
    await world.deliver('waiting', 1)
    await take(world)
    await world.restart()
    expect(lost).toMatchObject([{ unacknowledged: 0, error: { message: expect.stringContaining('stays with') } }])
  })
})

describe('The retained broadcast of a group', () => {
  const broadcast = { kind: 'broadcast' } as const

  it('reaches the program once, though the relay sends it again to who joins anew', async () => {
    const world = await RestartedRelay.open()
    await world.deliver('one', 0, broadcast)
    await world.deliver('h', 4, { ...broadcast, groups: ['h'] })
    await world.restart()
    await world.deliver('one', 0, broadcast)
    await world.deliver('another for h', 5, { ...broadcast, groups: ['h'] })
    await world.deliver('of another source', 0, { ...broadcast, source: 4 })
    expect(await world.endpoint.retrieveAll()).toEqual(['one', 'h', 'another for h', 'of another source'])
  })

  it('reaches the program again when it is sent again, or comes from another relay', async () => {
    const world = await RestartedRelay.open()
    await world.deliver('one', 0, broadcast)
    await world.deliver('one', 0, broadcast)
    await world.restart({ relay: 'another' })
    await world.deliver('one', 0, broadcast)
    expect(await world.endpoint.retrieveAll()).toEqual(['one', 'one', 'one'])
  })
})
