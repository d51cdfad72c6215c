/**
 * Type tests: compiled by `tsc`, never run; with the sources here, and with what is published in tarball.test.ts. Each
 * `@ts-expect-error` is a mistake that the types must show.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import {
  type Delivery,
  Endpoint,
  type ErrorCode,
  exportGroup,
  fileStore,
  memoryStore,
  ObjectRelayError,
  Relay,
  registerType,
  type Tensor,
} from 'objectrelay'

/** Whether two types are the same: not only assignable to each other. */
type Same<Left, Right> = (<T>() => T extends Left ? 1 : 2) extends <T>() => T extends Right ? 1 : 2 ? true : false

/** Compiles if what it is given is of exactly the type that is stated. */
function is<Expected>(): <Actual>(value: Actual, ...same: Same<Actual, Expected> extends true ? [] : [never]) => void {
  return () => undefined
}

interface Episode {
  rewards: number[]
}
interface Weights {
  layers: Float32Array[]
}
interface Groups {
  trainers: Episode
  workers: Weights
}

const where = { host: '127.0.0.1', port: 1, password: '' }
const episode: Episode = { rewards: [1] }
const weights: Weights = { layers: [] }
declare const episodeSchema: StandardSchemaV1<unknown, Episode>

export async function typedGroups(): Promise<void> {
  const endpoint = await Endpoint.connect<Groups>({
    ...where,
    groups: ['trainers'],
    schemas: { trainers: episodeSchema },
  })
  // @ts-expect-error: there is no such group
  new Endpoint<Groups>({ ...where, groups: 'trainer' })
  // @ts-expect-error: the schema gives objects of another group
  new Endpoint<Groups>({ ...where, schemas: { workers: episodeSchema } })

  const { members } = await endpoint.produce(episode, 'trainers')
  const count: number = members.trainers
  // @ts-expect-error: the receipt has the groups of the destination only
  members.workers
  // @ts-expect-error: weights are not for trainers
  await endpoint.produce(weights, 'trainers')
  // @ts-expect-error: there is no such group
  await endpoint.broadcast(weights, 'worker')
  // @ts-expect-error: an object for both groups must be of both types
  await endpoint.broadcast(weights, ['workers', 'trainers'])
  await endpoint.broadcast({ ...weights, ...episode }, ['workers', 'trainers'])
  await endpoint.sendObject(weights, { workers: 3 })
  // @ts-expect-error: weights are not for trainers
  await endpoint.sendObject(weights, { trainers: 3 })

  await endpoint.notify({ trainers: count })
  // @ts-expect-error: there is no such group
  await endpoint.notify('trainer')

  const popped: (Episode | Weights)[] = await endpoint.pop({ maxItems: 2, blocking: true })
  // @ts-expect-error: nobody said that these are episodes
  const episodes: Episode[] = endpoint.popSync()
  // @ts-expect-error: a signal cannot end what blocks the thread
  endpoint.popSync({ signal: new AbortController().signal })
  for await (const object of endpoint) popped.push(object)
  for await (const delivery of endpoint.deliveries()) {
    if (delivery.group === 'trainers') delivery.object.rewards.push(1)
    // @ts-expect-error: which group it is, and so what the object is, is not known here
    else delivery.object.rewards.push(1)
  }

  endpoint.work('trainers', (object, delivery) => {
    object.rewards.push(delivery.object.rewards.length)
    // @ts-expect-error: an episode has no layers
    object.layers
  })
  // @ts-expect-error: there is no such group
  endpoint.work('trainer', () => undefined)
  is<(Episode | Weights)[]>()(await endpoint.retrieveAll())
  takesAny(endpoint)
  endpoint.on('blocked', ({ group }) => group.length)
  // @ts-expect-error: there is no such event
  endpoint.on('block', () => undefined)
  episodes.push(episode)
}

/** What arrives is of the groups that the endpoint is a member of. */
export async function ownGroups(): Promise<void> {
  const trainer = await Endpoint.connect<Groups, 'trainers'>({ ...where, groups: 'trainers' })
  is<Episode[]>()(await trainer.pop())
  takesAny(trainer)
  is<Episode[]>()(await trainer.getLast({ maxItems: 2 }))
  is<Episode[]>()(trainer.retrieveAllSync())
  for await (const object of trainer) is<Episode>()(object)
  for await (const delivery of trainer.deliveries()) is<Delivery<Episode, 'trainers'>>()(delivery)
  trainer.work('trainers', (object) => is<Episode>()(object))
  // It sends to all that there are.
  await trainer.produce(weights, 'workers')
  // @ts-expect-error: it is no member of that group
  trainer.work('workers', () => undefined)
  // @ts-expect-error: the same
  await trainer.notify('workers')
  // @ts-expect-error: what it is a member of is another group
  new Endpoint<Groups, 'trainers'>({ ...where, groups: 'workers' })
}

/** Dead letters are of the type that the living have, without being declared. */
export async function deadLetters(): Promise<void> {
  const reader = new Endpoint<Groups, 'trainers.dead'>({ ...where, groups: ['trainers.dead'] })
  is<Episode[]>()(await reader.pop())
  reader.work('trainers.dead', (object, { deadLetter }) => object.rewards.push(deadLetter?.attempts ?? 0))
  const all = new Endpoint<Groups>({ ...where, groups: ['workers', 'workers.dead'] })
  all.work('workers.dead', (object) => is<Weights>()(object))
  // @ts-expect-error: nobody sends to the dead
  await all.produce(episode, 'trainers.dead')
  // @ts-expect-error: there is no such group
  new Endpoint<Groups>({ ...where, groups: 'trainer.dead' })
}

declare const countSchema: StandardSchemaV1<string, number>

/** Where nothing is stated, `schemas` say what the objects of groups are, and `groups` which of them arrive. */
export async function inferredGroups(): Promise<void> {
  const schemas = { trainers: episodeSchema, counts: countSchema }
  const trainer = await Endpoint.connect({ ...where, groups: 'trainers', schemas, connectTimeoutMs: 1 })
  is<Episode[]>()(await trainer.pop())
  trainer.work('trainers', (object) => is<Episode>()(object))
  // @ts-expect-error: it is no member of that group
  trainer.work('counts', () => undefined)
  await trainer.produce(1, 'counts')
  // @ts-expect-error: its schema makes numbers
  await trainer.produce('one', 'counts')
  await trainer.produce({ any: 'object' }, 'a group without a schema')

  const both = new Endpoint({ ...where, groups: ['trainers', 'counts', 'counts.dead'], schemas })
  is<(Episode | number)[]>()(both.popSync())
  both.work('counts.dead', (object) => is<number>()(object))
  for await (const delivery of both.deliveries()) {
    if (delivery.group === 'trainers') is<Episode>()(delivery.object)
    else is<number>()(delivery.object)
  }
  takesAny(trainer)
  takesAny(both)
}

/** A function around any endpoint. */
function takesAny<Types extends object>(endpoint: Endpoint<Types>): string {
  return endpoint.id
}

/** A function around an endpoint without types. */
function takesUntyped(endpoint: Endpoint): Promise<unknown[]> {
  return endpoint.pop()
}

export async function untypedGroups(): Promise<void> {
  const endpoint = await Endpoint.connect({ ...where, groups: 'g', io: undefined })
  takesAny(endpoint)
  await takesUntyped(endpoint)
  is<unknown[]>()(await endpoint.pop())
  // @ts-expect-error: it is no member of that group
  await endpoint.notify('h')
  const names: string[] = ['g']
  const several = new Endpoint({ ...where, groups: names })
  takesAny(several)
  await takesUntyped(several)
  await several.notify('h')
  await endpoint.produce({ any: 'object' }, 'another group')
  await endpoint.sendObject(1, { any: 1, other: -1 })
  const [object] = await endpoint.pop()
  // @ts-expect-error: what arrives is unknown until it is checked
  object.id
  for await (const delivery of endpoint.deliveries()) delivery.group satisfies string
}

class Checked extends Endpoint<Groups> {
  override get name(): string {
    return `checked ${super.name}`
  }
}

class Vector {
  readonly x: number = 1
}

/** The rest of what a program may meet. */
export async function others(): Promise<void> {
  await using relay = await Relay.start({ port: 0, password: '', store: memoryStore() })
  is<number>()(relay.port)
  fileStore({ dir: '/store', durability: 'written' })
  for await (const { body } of exportGroup('/store', 'g')) for await (const piece of body()) is<number>()(piece.length)
  const tensor: Tensor<Float32Array> = { dtype: 'float32', shape: [1], data: new Float32Array(1) }
  registerType(Vector, { name: 'Vector', encode: ({ x }) => [x], decode: () => new Vector() })
  await using endpoint = new Checked({ ...where, groups: ['trainers'] })
  is<boolean>()(endpoint instanceof Endpoint)
  endpoint.on('error', (error) => {
    is<ErrorCode>()(error.code)
    is<unknown>()(error.cause)
  })
  for await (const { signal, release } of endpoint.deliveries()) {
    if (signal.aborted) release({ error: signal.reason })
    signal.addEventListener('abort', () => release())
  }
  try {
    await relay.stop()
  } catch (thrown) {
    if (thrown instanceof ObjectRelayError) is<string>()(thrown.message + tensor.dtype)
  }
}
