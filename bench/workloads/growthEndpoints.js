import { workload as w1 } from './W1.js'
import { crowdRole } from './W12.js'

/** @type {import('../harness/types.js').GrowthWorkload} */
export const workload = {
  ...w1,
  name: 'growth-endpoints',
  title: 'W1 beside endpoints that do nothing, each in a group of its own',
  // Two of the endpoints are the producer and the consumer.
  parameters: (scale, driver, all) => ({ ...w1.parameters(scale, driver, all), endpoints: all - 2, emptyGroups: 0 }),
  roles: { crowd: crowdRole, ...w1.roles },
  axis: { label: 'endpoints', isLog: true },
  points: [2, 10, 30, 100, 300, 1_000],
  plots: [
    {
      file: 'endpoints-cpu',
      title: 'Processor time for one small object, all processes together',
      value: 'cpu',
      y: { label: 'microseconds', isLog: false },
    },
  ],
}
