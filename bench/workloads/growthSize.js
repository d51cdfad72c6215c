import { arrayObjects } from '../objects/array.js'
import { consumerRole, producerRole } from './stream.js'

const bytesInAll = 256 * 1024 * 1024
const objectsMax = 200_000
const unconfirmedBytes = 8 * 1024 * 1024
const kindOf = ({ objectBytes = 0 }) => arrayObjects(objectBytes)

/** @type {import('../harness/types.js').GrowthWorkload} */
export const workload = {
  name: 'growth-size',
  title: 'objects that hold one Float32Array, from 100 B to 1 GiB',
  phases: ['run'],
  parameters(scale, _driver, objectBytes) {
    const objects = Math.min(objectsMax, Math.max(1, Math.round((bytesInAll * scale) / objectBytes)))
    const unconfirmedMax = Math.min(2_000, Math.max(2, Math.floor(unconfirmedBytes / objectBytes)))
    return { objects, objectBytes, unconfirmedMax }
  },
  roles: { consumer: consumerRole(kindOf, 'bench'), producer: producerRole(kindOf, 'bench') },
  objects: ({ objects = 1 }) => objects,
  measure({ parameters: { objects = 0, objectBytes = 0 }, results }) {
    const seconds = (results.run?.consumer.finishedMs - results.run?.producer.startedMs) / 1000
    return [{ name: 'rate', unit: 'MB/s', value: (objects * objectBytes) / seconds / 1e6, better: 'higher' }]
  },
  axis: { label: 'bytes of the array in one object', unit: 'B', isLog: true },
  points: [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 2 ** 30],
  carries: (objectBytes, driver) => objectBytes <= driver.objectBytesMax,
  plots: [
    {
      file: 'size-cpu',
      title: 'Processor time for one object, all processes together',
      value: 'cpu',
      y: { label: 'microseconds', isLog: true },
    },
    { file: 'size-rate', title: 'Bytes of arrays per second', value: 'rate', y: { label: 'MB/s', isLog: true } },
  ],
}
