import { pingpongWorkload } from './pingpong.js'

export const workload = pingpongWorkload({
  name: 'W4',
  title: '5 000 round trips of a small object between two endpoints, nothing else running (a lower ratio is better)',
  rounds: 5_000,
  warmUp: 1_000, // The first thousand run in unoptimized code.
})
