import { workload as w1 } from './W1.js'

/** @type {import('../harness/types.js').Workload} */
export const workload = {
  ...w1,
  name: 'W9-small',
  title: 'W1 with a durable store: an object is accepted when it is on disk',
  isDurable: true,
  peers: ['jetstream-file'],
}
