import { arrayObjects } from '../objects/array.js'
import { streamWorkload } from './stream.js'

const objectBytes = 64 * 1024 * 1024

export const workload = streamWorkload({
  name: 'W3',
  title: '20 objects that hold a 64 MiB Float32Array',
  objects: 20,
  // One on its way while the next is being encoded.
  unconfirmedMax: 2,
  objectBytes,
  kindOf: () => arrayObjects(objectBytes),
})
