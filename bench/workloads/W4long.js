import { pingpongWorkload } from './pingpong.js'

export const workload = pingpongWorkload({
  name: 'W4-long',
  title: 'W4 with 30 000 round trips, the first 5 000 not counted: programs that run longer than a second',
  rounds: 25_000,
  warmUp: 5_000,
})
