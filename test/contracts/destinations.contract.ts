import type { Relay } from 'objectrelay'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Network, take } from '../support/network.ts'
import { eventually } from '../support/waiting.ts'

/** Groups as a text and as a list; where objects go, in which order, and where they do not go. */
export function destinationsContract(io: 'thread' | 'inline'): void {
  describe('sends objects to groups', () => {
    const centre = new Network(io)
    const network = new Network(io)
    let relay: Relay
    beforeAll(async () => {
      relay = await centre.relay()
    })
    afterEach(() => network.end())
    afterAll(() => centre.end())

    /** What is asked is on its way when `notify` resolves: this waits until the relay knows it. */
    async function untilAsked(group: string, count: number): Promise<void> {
      await eventually(
        async () => (await relay.stats()).groups[group]?.demand,
        (demand) => demand === count,
      )
    }

    it('gives a broadcast to every member of the group, and to nobody else', async () => {
      const sender = await network.connect(relay)
      const first = await network.connect(relay, { groups: 'every' })
      const second = await network.connect(relay, { groups: ['every', 'other'] })
      const outsider = await network.connect(relay, { groups: ['other'] })
      const receipt = await sender.broadcast({ text: 'to all' }, 'every')
      expect(receipt).toEqual({ members: { every: 2 } })
      expect(await take(first, 1)).toEqual([{ text: 'to all' }])
      expect(await take(second, 1)).toEqual([{ text: 'to all' }])
      await sender.broadcast('a mark', 'other')
      expect(await take(outsider, 1)).toEqual(['a mark'])
      expect(await outsider.retrieveAll()).toEqual([])
    })

    it('gives a broadcast to the sender too when it is a member', async () => {
      const member = await network.connect(relay, { groups: 'own' })
      await member.broadcast('mine', 'own')
      expect(await take(member, 1)).toEqual(['mine'])
    })

    it('broadcasts to several groups, once for each group that a member is in', async () => {
      const sender = await network.connect(relay)
      const one = await network.connect(relay, { groups: 'b1' })
      const both = await network.connect(relay, { groups: ['b1', 'b2'] })
      expect(await sender.broadcast(7, ['b1', 'b2'])).toEqual({ members: { b1: 2, b2: 1 } })
      expect(await take(one, 1)).toEqual([7])
      expect(await take(both, 2)).toEqual([7, 7])
    })

    it('gives a produced object to one member only, who asked before or asks after', async () => {
      const sender = await network.connect(relay)
      const early = await network.connect(relay, { groups: 'queue' })
      const late = await network.connect(relay, { groups: 'queue' })
      await early.notify('queue')
      await sender.produce('first', 'queue')
      expect(await take(early, 1)).toEqual(['first'])
      await sender.produce('second', 'queue')
      await late.notify('queue')
      expect(await take(late, 1)).toEqual(['second'])
      expect(await early.retrieveAll()).toEqual([])
    })

    it('gives nothing that nobody asked for', async () => {
      const sender = await network.connect(relay)
      const member = await network.connect(relay, { groups: 'unasked' })
      await sender.produce('waits', 'unasked')
      await sender.broadcast('a mark', 'unasked')
      expect(await take(member, 1)).toEqual(['a mark'])
      expect((await relay.stats()).groups.unasked).toMatchObject({ waiting: 1, leased: 0 })
    })

    it('produces one object for each of several groups', async () => {
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: ['p1', 'p2'] })
      await receiver.notify(['p1', 'p2'])
      expect(await sender.produce('one each', ['p1', 'p2'])).toEqual({ members: { p1: 1, p2: 1 } })
      expect(await take(receiver, 2)).toEqual(['one each', 'one each'])
    })

    it('keeps the order of one sender in a queue and among broadcasts', async () => {
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: 'ordered' })
      await receiver.notify({ ordered: 500 })
      const numbers = Array.from({ length: 500 }, (_, index) => index)
      await Promise.all(numbers.map((number) => sender.produce(number, 'ordered')))
      expect(await take(receiver, 500)).toEqual(numbers)
      await Promise.all(numbers.map((number) => sender.broadcast(number, 'ordered')))
      expect(await take(receiver, 500)).toEqual(numbers)
    })

    it('lets nothing cross over between groups', async () => {
      const sender = await network.connect(relay)
      const groups = ['red', 'green', 'blue']
      const members = await Promise.all(groups.map((group) => network.connect(relay, { groups: group })))
      for (const [index, member] of members.entries()) await member.notify({ [groups[index] ?? '']: 40 })
      const sent = Array.from({ length: 120 }, (_, index) => {
        const group = groups[index % 3] ?? ''
        return index % 2 === 0 ? sender.broadcast({ group, index }, group) : sender.produce({ group, index }, group)
      })
      await Promise.all(sent)
      for (const [index, member] of members.entries()) {
        const objects = await take(member, 40)
        expect(new Set(objects.map((object) => JSON.stringify(object).includes(`"${groups[index]}"`)))).toEqual(
          new Set([true]),
        )
      }
    })

    it('sends to a destination: a name or a list broadcasts, a count produces copies, -1 broadcasts, 0 does nothing', async () => {
      const sender = await network.connect(relay)
      const first = await network.connect(relay, { groups: ['d1', 'd2'] })
      const second = await network.connect(relay, { groups: 'd1' })
      await sender.sendObject('name', 'd1')
      await sender.sendObject('list', ['d1', 'd2'])
      await sender.sendObject('minus one', { d1: -1 })
      expect(await take(first, 4)).toEqual(['name', 'list', 'list', 'minus one'])
      expect(await take(second, 3)).toEqual(['name', 'list', 'minus one'])
      await sender.sendObject('copies', { d1: 3 })
      await first.notify({ d1: 2 })
      // Before the second one asks: two links are read in any order.
      expect(await take(first, 2)).toEqual(['copies', 'copies'])
      await second.notify({ d1: 2 })
      expect(await take(second, 1)).toEqual(['copies'])
      expect(await sender.sendObject('nothing', { d2: 0 })).toEqual({ members: {} })
      expect((await relay.stats()).groups.d2).toMatchObject({ waiting: 0 })
    })

    it('mixes broadcasts and copies in one destination', async () => {
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: ['m1', 'm2'] })
      await receiver.notify({ m2: 2 })
      const receipt = await sender.sendObject('mixed', { m1: -1, m2: 2 })
      expect(receipt).toEqual({ members: { m1: 1, m2: 1 } })
      expect(await take(receiver, 3)).toEqual(['mixed', 'mixed', 'mixed'])
    })

    it('gives all that waits now to who asks for -1, and nothing that comes later', async () => {
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: 'drained' })
      for (const number of [1, 2, 3]) await sender.produce(number, 'drained')
      await receiver.notify({ drained: -1 })
      expect(await take(receiver, 3)).toEqual([1, 2, 3])
      await sender.produce(4, 'drained')
      await sender.broadcast('a mark', 'drained')
      expect(await take(receiver, 1)).toEqual(['a mark'])
    })

    it('remembers what was asked for until it comes', async () => {
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: 'patient' })
      await receiver.notify({ patient: 2 })
      await receiver.notify('patient')
      await Promise.all([1, 2, 3, 4].map((number) => sender.produce(number, 'patient')))
      expect(await take(receiver, 3)).toEqual([1, 2, 3])
      expect((await relay.stats()).groups.patient).toMatchObject({ waiting: 1, demand: 0 })
    })

    it('shows a group that nobody has joined by a count of 0, and keeps its objects', async () => {
      const sender = await network.connect(relay)
      expect(await sender.produce('kept', 'typo')).toEqual({ members: { typo: 0 } })
      expect(await sender.broadcast('kept too', 'typo')).toEqual({ members: { typo: 0 } })
      const late = await network.connect(relay, { groups: 'typo' })
      expect(await take(late, 1)).toEqual(['kept too'])
      await late.notify('typo')
      expect(await take(late, 1)).toEqual(['kept'])
    })

    it('shares objects fairly among members that ask for many', async () => {
      const sender = await network.connect(relay)
      const members = await Promise.all([1, 2, 3].map(() => network.connect(relay, { groups: 'fair' })))
      for (const member of members) await member.notify({ fair: 30 })
      await untilAsked('fair', 90)
      await Promise.all(Array.from({ length: 30 }, (_, index) => sender.produce(index, 'fair')))
      const shares = await Promise.all(members.map((member) => take(member, 10)))
      expect(shares.map((share) => share.length)).toEqual([10, 10, 10])
      expect(new Set(shares.flat()).size).toBe(30)
    })

    it('gives the next object to the member with the fewest outstanding', async () => {
      const sender = await network.connect(relay)
      const busy = await network.connect(relay, { groups: 'uneven' })
      const idle = await network.connect(relay, { groups: 'uneven' })
      await busy.notify({ uneven: 5 })
      await untilAsked('uneven', 5)
      await Promise.all([1, 2].map((number) => sender.produce(number, 'uneven')))
      await idle.notify({ uneven: 5 })
      await untilAsked('uneven', 8)
      await Promise.all([3, 4].map((number) => sender.produce(number, 'uneven')))
      expect(await take(idle, 2)).toEqual([3, 4])
      expect(await take(busy, 2)).toEqual([1, 2])
    })
  })
}
