import type { SeededRandom } from '../simulation/random.ts'

/** Values of JSON that are seldom thought of. */
const values: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e300,
  2 ** 53,
  '',
  'g',
  '__proto__',
  'x'.repeat(5_000),
  [],
  {},
  [null],
  { toString: 1 },
  { code: 'QUEUE_FULL' },
  { code: 'QUEUE_FULL', message: { toString: null } },
  { code: '__proto__', message: 'm', details: { __proto__: null } },
  { code: 'CONNECT_FAILED', message: 'm', details: { waitMs: 'x' } },
  { code: 'CONNECT_FAILED', message: 'm', details: { waitMs: 1e300 } },
  { code: 'CONNECT_FAILED', message: 'm', details: { waitMs: -5 } },
  { code: 'PROTOCOL_VIOLATION', message: 'x'.repeat(60_000), cause: 5 },
  nested(1_000),
]

const names = [
  'error',
  'version',
  'session',
  'received',
  'groups',
  'broadcasts',
  'inboxBytes',
  'limits',
  'relay',
  'resumed',
  'code',
  'message',
  'details',
  'toString',
  '__proto__',
]

function nested(depth: number): unknown {
  let value: unknown = []
  for (let left = depth; left > 0; left--) value = [value]
  return value
}

export function oddValue(random: SeededRandom): unknown {
  return random.pick(values)
}

/** An object with some fields of odd values; now and then something that is no object. */
export function oddJson(random: SeededRandom): unknown {
  if (random.chance(0.2)) return oddValue(random)
  return Object.fromEntries(random.some(names, 0.2).map((name) => [name, oddValue(random)]))
}
