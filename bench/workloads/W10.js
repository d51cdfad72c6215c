import { arrayObjects } from '../objects/array.js'
import { consumerRole, producerRole } from './stream.js'

const totalBytes = 2 ** 30
const kindOf = ({ objectBytes = 0 }) => arrayObjects(objectBytes)

/** @type {import('../harness/types.js').Workload} */
export const workload = {
  name: 'W10',
  title: 'one object of 1 GiB; for a system that carries no such object the same bytes in objects of 64 MiB',
  phases: ['run'],
  parameters(scale, driver) {
    const wanted = Math.ceil((totalBytes * scale) / 1024) * 1024
    const objectBytes = Math.min(wanted, driver?.objectBytesMax ?? wanted)
    return { objects: Math.ceil(wanted / objectBytes), objectBytes, unconfirmedMax: 2 }
  },
  roles: { consumer: consumerRole(kindOf, 'bench'), producer: producerRole(kindOf, 'bench') },
  objects: ({ objects = 1 }) => objects,
  measure({ parameters: { objects = 0, objectBytes = 0 }, results }) {
    const seconds = (results.run?.consumer.finishedMs - results.run?.producer.startedMs) / 1000
    return [{ name: 'rate', unit: 'MB/s', value: (objects * objectBytes) / seconds / 1e6, better: 'higher' }]
  },
}
