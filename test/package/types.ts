/** Type tests: compiled by `tsc`, never run. Each `@ts-expect-error` is a mistake that the types of groups must show. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { Endpoint } from '../../src/endpoint/endpoint.ts'

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
  endpoint.on('blocked', ({ group }) => group.length)
  // @ts-expect-error: there is no such event
  endpoint.on('block', () => undefined)
  episodes.push(episode)
}

export async function untypedGroups(): Promise<void> {
  const endpoint = await Endpoint.connect({ ...where, groups: 'g', io: undefined })
  await endpoint.produce({ any: 'object' }, 'another group')
  await endpoint.sendObject(1, { any: 1, other: -1 })
  const [object] = await endpoint.pop()
  // @ts-expect-error: what arrives is unknown until it is checked
  object.id
  for await (const delivery of endpoint.deliveries()) delivery.group satisfies string
}
