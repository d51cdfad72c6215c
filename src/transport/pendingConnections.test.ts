import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type PendingConnections as Connections, PendingConnections, type PendingPlace } from './pendingConnections.ts'

interface Visitor {
  place: PendingPlace
  ended: string | undefined
}

function enter(pending: Connections, address: string): Visitor {
  const visitor: Partial<Visitor> = { ended: undefined }
  visitor.place = pending.enter(address, (reason) => {
    visitor.ended = reason
  })
  return visitor as Visitor // its place is there now
}

function open(placesMax: number, silentMsMax = 5_000): Connections {
  return new PendingConnections({ placesMax, silentMsMax })
}

describe('the places of those who have not proven the password', () => {
  it('are left by who is silent for too long in all, however it is spread', () => {
    const pending = open(10)
    const [silent, dripping, waiting] = [
      enter(pending, '192.0.2.1'),
      enter(pending, '192.0.2.1'),
      enter(pending, '192.0.2.1'),
    ]
    pending.reached(waiting.place, 'queued')
    for (let step = 0; step < 49; step++) {
      pending.passTime(100)
      pending.reached(dripping.place, 'quiet')
    }
    expect([silent.ended, dripping.ended]).toEqual([undefined, undefined])
    pending.passTime(100)
    expect([silent.ended, dripping.ended, waiting.ended]).toEqual(['silent', 'silent', undefined])
    // What waits for the relay is not silent, and counts again when it is the peer's turn.
    pending.passTime(60_000)
    expect(waiting.ended).toBeUndefined()
    pending.reached(waiting.place, 'answered')
    pending.passTime(4_999)
    expect(waiting.ended).toBeUndefined()
    pending.passTime(1)
    expect(waiting.ended).toBe('silent')
    expect(pending.size).toBe(0)
  })

  it('go to those who come, at the cost of who has been silent for longest', () => {
    const pending = open(3)
    const old = enter(pending, '192.0.2.1')
    pending.passTime(10)
    const others = [enter(pending, '192.0.2.1'), enter(pending, '192.0.2.1')]
    pending.passTime(10)
    pending.makeRoom()
    const newest = enter(pending, '192.0.2.1')
    pending.makeRoom()
    expect(old.ended).toBe('crowded')
    expect([...others, newest].map(({ ended }) => ended)).toEqual([undefined, undefined, undefined])
  })

  it('are not taken from who has just come, before it could be read what it says', () => {
    const pending = open(2)
    const all = Array.from({ length: 4 }, () => enter(pending, '192.0.2.1'))
    pending.makeRoom()
    expect(all.every(({ ended }) => ended === undefined)).toBe(true)
    const [first, ...others] = all
    if (first !== undefined) pending.reached(first.place, 'proven')
    pending.makeRoom()
    expect(first?.ended).toBeUndefined()
    expect(others.map(({ ended }) => ended)).toEqual(['crowded', 'crowded', undefined])
  })

  it('are never more than twice as many', () => {
    const pending = open(10)
    for (let count = 0; count < 1_000; count++) enter(pending, '192.0.2.1')
    expect(pending.size).toBe(20)
  })

  it('are taken from the network that has most of them', () => {
    const pending = open(100)
    const good = Array.from({ length: 10 }, (_, index) => enter(pending, `192.0.2.${index}`))
    pending.passTime(50)
    const flood = Array.from({ length: 100 }, (_, index) => enter(pending, `2001:db8:1:${index.toString(16)}::1`))
    pending.makeRoom()
    pending.makeRoom()
    expect(good.every(({ ended }) => ended === undefined)).toBe(true)
    expect(flood.filter(({ ended }) => ended === 'crowded')).toHaveLength(10)
  })

  it('stay with many endpoints behind one address when a thousand strangers are silent, each from an address of its own', () => {
    const pending = open(1_000)
    const strangers = Array.from({ length: 990 }, (_, index) => enter(pending, `198.51.${index >>> 8}.${index & 255}`))
    pending.passTime(4_000)
    const good = Array.from({ length: 100 }, () => enter(pending, '192.0.2.1'))
    pending.makeRoom()
    pending.passTime(30)
    pending.makeRoom()
    expect(good.every(({ ended }) => ended === undefined)).toBe(true)
    expect(strangers.filter(({ ended }) => ended === 'crowded')).toHaveLength(90)
  })

  it('are kept by half for those who have just come, whoever else has come further', () => {
    const pending = open(10)
    const further = Array.from({ length: 10 }, () => enter(pending, '192.0.2.1'))
    pending.makeRoom()
    for (const { place } of further) pending.reached(place, 'answered')
    pending.passTime(100)
    const newcomers = Array.from({ length: 5 }, () => enter(pending, '192.0.2.1'))
    pending.makeRoom()
    pending.makeRoom()
    expect(newcomers.every(({ ended }) => ended === undefined)).toBe(true)
    expect(further.filter(({ ended }) => ended === 'crowded')).toHaveLength(5)
  })

  it('let an endpoint in while 1 500 strangers say nothing and come again at once', () => {
    const pending = open(1_024)
    const strangers = Array.from({ length: 1_500 }, () => enter(pending, '192.0.2.1'))
    let endpoint: Visitor | undefined
    for (let round = 0; round < 200; round++) {
      if (round === 100) endpoint = enter(pending, '192.0.2.1')
      // It speaks as soon as it is listened to.
      if (round === 101 && endpoint !== undefined) pending.reached(endpoint.place, 'quiet')
      if (round === 103 && endpoint !== undefined) pending.reached(endpoint.place, 'queued')
      pending.passTime(5)
      pending.makeRoom()
      for (const [index, { ended }] of strangers.entries())
        if (ended !== undefined) strangers[index] = enter(pending, '192.0.2.1')
    }
    expect(endpoint?.ended).toBeUndefined()
  })

  it('are counted right, whatever happens', () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant('enter' as const), at: fc.nat(5) }),
      fc.record({ kind: fc.constant('leave' as const), at: fc.nat(30) }),
      fc.record({ kind: fc.constant('pass' as const), at: fc.nat(100) }),
      fc.record({ kind: fc.constant('room' as const), at: fc.constant(0) }),
      fc.record({
        kind: fc.constantFrom('quiet' as const, 'queued' as const, 'answered' as const, 'proven' as const),
        at: fc.nat(30),
      }),
    )
    fc.assert(
      fc.property(fc.array(action, { maxLength: 100 }), (actions) => {
        const pending = open(5, 200)
        const all: (Visitor & { gone: boolean })[] = []
        for (const { kind, at } of actions) {
          const one = all[at % Math.max(all.length, 1)]
          if (kind === 'enter') all.push(Object.assign(enter(pending, `192.0.2.${at}`), { gone: false }))
          else if (kind === 'pass') pending.passTime(at)
          else if (kind === 'room') pending.makeRoom()
          else if (one === undefined) continue
          else if (kind === 'leave') {
            pending.leave(one.place)
            one.gone = true
          } else pending.reached(one.place, kind)
          expect(pending.size).toBe(all.filter(({ ended, gone }) => ended === undefined && !gone).length)
        }
      }),
    )
  })
})
