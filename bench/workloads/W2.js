import { arrayObjects } from '../objects/array.js'
import { streamWorkload } from './stream.js'

const objectBytes = 64 * 1024

export const workload = streamWorkload({
  name: 'W2',
  title: '5 000 objects that hold a 64 KiB Float32Array',
  objects: 5_000,
  unconfirmedMax: 64,
  objectBytes,
  kindOf: () => arrayObjects(objectBytes),
})
