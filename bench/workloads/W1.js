import { checkSmall, makeSmall } from '../objects/small.js'
import { streamWorkload } from './stream.js'

export const workload = streamWorkload({
  name: 'W1',
  title: '200 000 small objects, one producer, one queue, one consumer',
  objects: 200_000,
  unconfirmedMax: 2_000,
  kindOf: () => ({ make: makeSmall, check: checkSmall }),
})
