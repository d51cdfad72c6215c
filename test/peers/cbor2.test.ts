import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { decodeHex, encode, encodeHex } from '../support/objects.ts'

let python = ''

beforeAll(() => {
  for (const candidate of ['/usr/bin/python3', 'python3']) {
    try {
      execFileSync(candidate, ['-c', 'import cbor2'], { stdio: 'ignore' })
      python = candidate
      return
    } catch {
      // The next one.
    }
  }
  throw new Error('These tests need Python with cbor2: apt-get install python3-cbor2 (or pip install cbor2).')
})

function run(script: string, input: unknown): unknown {
  return JSON.parse(execFileSync(python, ['-c', script], { input: JSON.stringify(input), encoding: 'utf8' }))
}

const shared = { n: 1 }
const table: unknown[] = [1]
table[1_767_225_600] = 3

function withoutStack(error: Error): Error {
  return Object.defineProperty(error, 'stack', { value: '' })
}

/** Arrays of float16 have a class in newer versions of JavaScript only. */
const halfClass: typeof Float32Array = Reflect.get(globalThis, 'Float16Array') ?? Float32Array

/** What we encode, and what Python calls it. */
const ours: [name: string, value: unknown, representation: string][] = [
  [
    'a nested object',
    { id: 7, tags: ['a', 'é'], done: false, none: null },
    "{'id': 7, 'tags': ['a', 'é'], 'done': False, 'none': None}",
  ],
  ['undefined', undefined, 'undefined'],
  [
    'numbers',
    [0, -1, 1.5, 0.1, 2 ** 40, -(2 ** 40), -0, 1e300],
    '[0, -1, 1.5, 0.1, 1099511627776, -1099511627776, -0.0, 1e+300]',
  ],
  ['numbers that are none', [Number.NaN, Number.POSITIVE_INFINITY], '[nan, inf]'],
  ['big integers', [10n ** 30n, -(10n ** 30n), 5n, 2n ** 63n], `[${10n ** 30n}, -${10n ** 30n}, 5, ${2n ** 63n}]`],
  ['a long text', '水'.repeat(20), `'${'水'.repeat(20)}'`],
  ['bytes', Buffer.from('abc'), "b'abc'"],
  [
    'a date',
    new Date('2024-02-29T12:00:00.250Z'),
    'datetime.datetime(2024, 2, 29, 12, 0, 0, 250000, tzinfo=datetime.timezone.utc)',
  ],
  [
    'a date of the year 1',
    new Date('0001-01-01T00:00:00Z'),
    'datetime.datetime(1, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)',
  ],
  ['an invalid date', new Date(Number.NaN), "CBORTag(27, ['Date', nan])"],
  ['a set', new Set([1]), '{1}'],
  ['a map with numbers as keys', new Map([[1, 'a']]), "{1: 'a'}"],
  ['a map with texts as keys', new Map([['a', 1]]), "CBORTag(259, {'a': 1})"],
  ['a simple regular expression', /ab*/, "re.compile('ab*')"],
  ['another regular expression', /(?<x>a)/g, "CBORTag(21066, ['(?<x>a)', 'g'])"],
  ['a string that is no Unicode', '\ud800', "CBORTag(273, b'\\xed\\xa0\\x80')"],
  ['a hole', Object.assign([1], { 2: 3 }), '[1, CBORTag(31, undefined), 3]'],
  ['many holes', table, '[1, CBORTag(1868720643, 1767225599), 3]'],
  [
    'an error whose class has getters',
    withoutStack(new DOMException('no', 'AbortError')),
    "CBORTag(27, ['Error', 'DOMException', {'name': 'AbortError', 'message': 'no', 'stack': ''}, {}])",
  ],
  ['an object twice', [shared, shared], "[{'n': 1}, {'n': 1}]"],
]

/** What Python encodes, and what we make of it. */
const theirs: [name: string, expression: string, value: unknown][] = [
  [
    'a nested dictionary',
    "{'id': 7, 'tags': ['a', 'é'], 'done': False, 'none': None}",
    { id: 7, tags: ['a', 'é'], done: false, none: null },
  ],
  [
    'numbers',
    '[0, -1, 1.5, 0.1, 2**53, -2**63, 10**30, -0.0, float("nan"), float("-inf")]',
    [0, -1, 1.5, 0.1, 2n ** 53n, -(2n ** 63n), 10n ** 30n, -0, Number.NaN, Number.NEGATIVE_INFINITY],
  ],
  ['a tuple', '(1, 2)', [1, 2]],
  ['bytes', "b'abc'", Buffer.from('abc')],
  ['a date', 'datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)', new Date('2024-02-29T12:00:00Z')],
  ['a set', '{3}', new Set([3])],
  [
    'integers as keys',
    "{1: 'a', 'b': 2}",
    new Map<unknown, unknown>([
      [1, 'a'],
      ['b', 2],
    ]),
  ],
  ['undefined', 'cbor2.undefined', undefined],
  ['a UUID', "uuid.UUID('00112233-4455-6677-8899-aabbccddeeff')", '00112233-4455-6677-8899-aabbccddeeff'],
  ['a regular expression', "re.compile('a+')", /a+/],
  [
    'a large dictionary',
    '{"k%d" % i: i * 0.5 for i in range(1000)}',
    Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`k${index}`, index * 0.5])),
  ],
  ['an array of float16', 'cbor2.CBORTag(84, struct.pack("<3e", 1, -2, 0.5))', new halfClass([1, -2, 0.5])],
  ['holes', '[1, cbor2.CBORTag(1868720643, 2), 4]', Object.assign([1], { 3: 4 })],
  ['a typed array', 'cbor2.CBORTag(85, struct.pack("<2f", 1, 2))', new Float32Array([1, 2])],
]

describe('python3-cbor2', () => {
  test('reads what we write', () => {
    const script = `
import sys, json, cbor2
print(json.dumps([repr(cbor2.loads(bytes.fromhex(text))) for text in json.load(sys.stdin)]))`
    expect(
      run(
        script,
        ours.map(([, value]) => encodeHex(value)),
      ),
    ).toEqual(ours.map(([, , representation]) => representation))
  })

  test('writes what we read', () => {
    const script = `
import sys, json, cbor2, datetime, uuid, re, struct
print(json.dumps([cbor2.dumps(eval(text)).hex() for text in json.load(sys.stdin)]))`
    const encoded = run(
      script,
      theirs.map(([, expression]) => expression),
    )
    if (!Array.isArray(encoded)) throw new Error('no list')
    expect(encoded.map((hex) => decodeHex(String(hex)))).toStrictEqual(theirs.map(([, , value]) => value))
  })

  test('and we understand each other about circles', () => {
    const circle: Record<string, unknown> = { name: 'circle', list: [] }
    circle.self = circle
    const script = `
import sys, json, cbor2
ours = cbor2.loads(bytes.fromhex(json.load(sys.stdin)))
theirs = {'list': []}
theirs['self'] = theirs
theirs['again'] = theirs['list']
print(json.dumps([ours['self'] is ours, cbor2.dumps(theirs, value_sharing=True).hex()]))`
    const answer = run(script, encodeHex(circle))
    if (!Array.isArray(answer)) throw new Error('no list')
    expect(answer[0]).toBe(true)
    const received: Record<string, unknown> = Object(decodeHex(String(answer[1])))
    expect(received.self).toBe(received)
    expect(received.again).toBe(received.list)
  })

  test('reads whole bodies, segments included, with the function of docs/objects.md', () => {
    const documented = /```python\n([\s\S]*?)```/.exec(
      readFileSync(new URL('../../docs/objects.md', import.meta.url), 'utf8'),
    )
    const script = `${documented?.[1] ?? ''}
import sys, json
def plain(value):
    if isinstance(value, dict): return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, cbor2.CBORTag): return [value.tag, plain(value.value)]
    if isinstance(value, (list, array.array)): return [plain(inner) for inner in value]
    if isinstance(value, bytes): return value.hex()
    return value
def digest(value):
    return [len(value), value[0], value[-1]]
small, large = [read_body(bytes.fromhex(text)) for text in json.load(sys.stdin)]
print(json.dumps([plain(small), large['name'], digest(large['bytes']), digest(large['tensor'].value[1])]))`
    const small = {
      a: new Int16Array([1, -2]),
      b: new DataView(new ArrayBuffer(2)),
      c: new BigUint64Array([2n ** 60n]),
    }
    const data = new Float32Array(5000).fill(0.5)
    const large = { name: 'large', bytes: Buffer.alloc(5000, 9), tensor: { dtype: 'float32', shape: [50, 100], data } }
    expect(run(script, [encode(small).toString('hex'), encode(large).toString('hex')])).toEqual([
      { a: [1, -2], b: '0000', c: [Number(2n ** 60n)] },
      'large',
      [5000, 9, 9],
      [5000, 0.5, 0.5],
    ])
  })

  test.runIf('Float16Array' in globalThis)('reads our arrays of float16', () => {
    const script = `
import sys, json, cbor2, struct
tag = cbor2.loads(bytes.fromhex(json.load(sys.stdin)))
print(json.dumps([tag.tag, struct.unpack("<3e", tag.value)]))`
    expect(run(script, encodeHex(new halfClass([1, -2, 0.5])))).toEqual([84, [1, -2, 0.5]])
  })

  test('keeps the last of repeated keys, and we refuse them', () => {
    const script = `
import sys, json, cbor2
print(json.dumps(list(cbor2.loads(bytes.fromhex(json.load(sys.stdin))).items())))`
    const repeated = 'a2616101616102'
    expect(run(script, repeated)).toEqual([['a', 2]])
    expect(() => decodeHex(repeated)).toThrow(/key twice/)
  })
})
