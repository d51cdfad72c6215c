import { codecNames, loadCodec } from '../codecs/catalogue.js'
import { rateOf } from '../harness/rate.js'
import { arrayObjects } from '../objects/array.js'
import { makeNested } from '../objects/nested.js'
import { makeSmall } from '../objects/small.js'

const kinds = [
  { name: 'small', object: () => makeSmall(1) },
  { name: 'nested 10 kB', object: makeNested },
  { name: '64 KiB', object: () => arrayObjects(64 * 1024).make(1) },
  { name: '64 MiB', object: () => arrayObjects(64 * 1024 * 1024).make(1) },
]

/** @param {import('../harness/types.js').RoleContext} context */
async function codecRole({ variant, parameters }) {
  const codec = await loadCodec(variant)
  return {
    async run() {
      /** @type {Record<string, number>} */
      const rates = {}
      for (const { name, object } of kinds) {
        const value = object()
        const received = codec.receive(codec.encode(value))
        rates[`${name} encode`] = rateOf(() => codec.encode(value), parameters.forMs ?? 0)
        rates[`${name} decode`] = rateOf(() => codec.decode(received), parameters.forMs ?? 0)
      }
      return rates
    },
    stop: async () => {},
  }
}

/** @type {import('../harness/types.js').Workload} */
export const workload = {
  name: 'W11',
  title: 'the codec alone, operations for a second of processor time; msgpackr and cbor-x without code generation',
  variants: codecNames,
  phases: ['run'],
  parameters: (scale) => ({ forMs: 300 * scale }),
  roles: { codec: codecRole },
  objects: () => 1,
  measure({ results }) {
    const rates = Object.entries(results.run?.codec ?? {})
    return rates.map(([name, value]) => ({ name, unit: '', value, better: 'higher' }))
  },
}
