import { describe, expect, it } from 'vitest'
import { KeptMemory } from '../../test/support/keptMemory.ts'
import { objectFrame, RawEndpoint, RelayWorld, type WorldOptions } from '../../test/support/relayWorld.ts'
import { encodeConfirm, readAccepted, readJson } from '../wire/controlFrames.ts'
import { FrameType } from '../wire/frameTypes.ts'

const grace = 10_000

/** An endpoint that says what the test wants, and confirms nothing by itself. */
class Sender {
  readonly raw: RawEndpoint
  readonly #world: RelayWorld
  readonly #cut: () => void

  constructor(world: RelayWorld) {
    const link = world.link()
    this.raw = new RawEndpoint(link.near)
    this.#world = world
    this.#cut = () => link.cut()
    this.raw.begin()
  }

  async hello(fields: Record<string, unknown> = {}): Promise<void> {
    await this.#world.settle()
    this.raw.hello({ groups: ['mine'], ...fields })
    await this.#world.settle()
  }

  async produce(...sequences: number[]): Promise<void> {
    for (const sequence of sequences) this.raw.transport.write(objectFrame('produce', 'tasks', sequence, `${sequence}`))
    await this.#world.settle()
  }

  async confirm(): Promise<void> {
    const numbered = this.raw.types().filter((type) => type !== FrameType.WELCOME && type !== FrameType.CONFIRM)
    this.raw.transport.write(encodeConfirm(numbered.length, 1_000_000))
    await this.#world.settle()
  }

  /** It is gone for longer than its grace time. */
  async vanish(): Promise<void> {
    this.#cut()
    await this.#world.advance(grace + 1)
  }

  get accepted(): number[] {
    return this.raw.frames.flatMap(({ type, bytes }) => {
      if (type !== FrameType.ACCEPTED) return []
      const { from, to } = readAccepted(bytes, 0, bytes.length)
      return Array.from({ length: to - from + 1 }, (_, index) => from + index)
    })
  }

  get refusal(): unknown {
    const refused = this.raw.frames.find(({ type }) => type === FrameType.REFUSED)
    if (refused === undefined) return undefined
    const { error } = readJson(refused.bytes, 0, refused.bytes.length)
    return typeof error === 'object' && error !== null && 'code' in error ? error.code : error
  }
}

function waiting({ server }: RelayWorld): number | undefined {
  return server.stats().groups.tasks?.waiting
}

/** Something that keeps an endpoint out, until it is undone. */
interface Obstacle {
  readonly code: string
  readonly world: WorldOptions
  readonly fields?: Record<string, unknown>
  /** What others join meanwhile. */
  readonly others?: readonly string[]
}

const obstacles: readonly Obstacle[] = [
  { code: 'TOO_MANY_GROUPS', world: { limits: { groupsMax: 3 } }, others: ['a', 'b'] },
  { code: 'TOO_MANY_CONNECTIONS', world: { limits: { endpointsMax: 1 } }, others: ['a'] },
  { code: 'GROUP_FULL', world: { acceptedGroups: { mine: { maxCount: 1 }, tasks: {} } }, others: ['mine'] },
  {
    code: 'GROUP_NOT_ACCEPTED',
    world: { acceptedGroups: { mine: {}, tasks: {} } },
    fields: { groups: ['mine', 'unknown'] },
  },
]

describe('What an endpoint was answered and does not know', () => {
  it.each(obstacles)('is recognised when it is sent again, also after it was refused with $code', async (obstacle) => {
    const world = await RelayWorld.create(obstacle.world)
    const first = new Sender(world)
    await first.hello()
    await first.produce(0, 1, 2)
    expect(first.accepted).toEqual([0, 1, 2])
    await first.vanish()
    const others = world.open({ groups: [...(obstacle.others ?? [])] })
    await world.settle()
    for (let attempt = 0; attempt < 2; attempt++) {
      const refused = new Sender(world)
      await refused.hello(obstacle.fields)
      expect(refused.refusal).toBe(obstacle.code)
    }
    others.stop(0)
    await world.settle()
    const again = new Sender(world)
    await again.hello()
    await again.produce(0, 1, 2, 3)
    expect(again.accepted).toEqual([0, 1, 2, 3])
    expect(waiting(world)).toBe(4)
  })

  it('is forgotten as soon as it is known: what is in HELLO is not remembered, nor what is answered again and confirmed', async () => {
    const memory = new KeptMemory()
    const world = await RelayWorld.create({ store: memory.open() })
    const first = new Sender(world)
    await first.hello()
    await first.produce(0, 1, 2, 3, 4, 5)
    await first.vanish()
    expect(memory.answersOf(first.raw.id)).toEqual([[0, 5]])
    const again = new Sender(world)
    // It has read that 0 and 1 were accepted.
    await again.hello({ unresolved: [[2, 5]] })
    expect(memory.answersOf(first.raw.id)).toEqual([[2, 5]])
    await again.produce(2, 3)
    await again.produce(4, 5, 6)
    expect(again.accepted).toEqual([2, 3, 4, 5, 6])
    await again.confirm()
    await again.produce(7)
    expect(memory.answersOf(first.raw.id)).toEqual([[7, 7]])
    expect(waiting(world)).toBe(8)
  })

  it('is not told to the store again with each commit', async () => {
    const memory = new KeptMemory()
    const world = await RelayWorld.create({ store: memory.open() })
    const first = new Sender(world)
    await first.hello()
    // Each stands in an answer of its own.
    for (let sequence = 0; sequence < 300; sequence += 2) await first.produce(sequence)
    await first.vanish()
    const again = new Sender(world)
    await again.hello()
    const before = memory.toldRuns
    for (let sequence = 1_000; sequence < 1_040; sequence += 2) await again.produce(sequence)
    expect(memory.toldRuns - before).toBe(20)
  })
})
