import { workload as w2 } from './W2.js'

/** @type {import('../harness/types.js').Workload} */
export const workload = {
  ...w2,
  name: 'W9-arrays',
  title: 'W2 with a durable store: an object is accepted when it is on disk',
  isDurable: true,
  peers: ['jetstream-file'],
}
