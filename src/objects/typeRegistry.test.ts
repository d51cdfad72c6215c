import { describe, expect, test } from 'vitest'
import { decodeHex, encode, encodeHex, throughMemory } from '../../test/support/objects.ts'
import { registerType } from './typeRegistry.ts'

class Vector {
  readonly x: number
  readonly y: number
  next: unknown = undefined
  constructor(x: number, y: number) {
    this.x = x
    this.y = y
  }
}

registerType(Vector, {
  name: 'Vector',
  encode: ({ x, y, next }) => ({ x, y, next }),
  decode: (plain) => {
    if (typeof plain?.x !== 'number' || typeof plain.y !== 'number') throw new TypeError('not a vector')
    return Object.assign(new Vector(plain.x, plain.y), { next: plain.next })
  },
})

describe('a registered class', () => {
  test('travels as tag 27 with its name, and comes back as itself', () => {
    expect(encodeHex(new Vector(1, 2))).toBe('d81b8266566563746f72a3617801617902646e657874f7')
    const vector = new Vector(1, 2)
    vector.next = [new Vector(3, 4), { deep: new Map([['v', new Vector(5, 6)]]) }]
    expect(throughMemory(vector)).toStrictEqual(vector)
  })

  test('keeps which instances are one and the same', () => {
    const vector = new Vector(1, 2)
    const received = throughMemory([vector, { vector }])
    if (!Array.isArray(received)) throw new Error('not an array')
    expect(received[0]).toBe(received[1].vector)
  })

  test('cannot contain itself, and the path says where', () => {
    const vector = new Vector(1, 2)
    vector.next = { back: vector }
    expect(() => encode([vector])).toThrow(/object\[0\]\.encode\(\)\.next\.back is part of what its own/)
  })

  test('has a decode() whose failure is the sender of bad data, not a crash', () => {
    expect(() => decodeHex('d81b8266566563746f72a0')).toThrow(/decode\(\) of the registered type "Vector" failed/)
  })

  test('does not stand for its subclasses', () => {
    class Velocity extends Vector {}
    expect(() => encode(new Velocity(1, 2))).toThrow(
      /instance of Velocity, which is not registered \(its parent "Vector" is/,
    )
  })

  test('may be a subclass of an error', () => {
    class QuotaError extends Error {}
    registerType(QuotaError, {
      name: 'QuotaError',
      encode: ({ message }) => message,
      decode: (text) => new QuotaError(text),
    })
    const received = throughMemory(new QuotaError('too much'))
    expect(received).toBeInstanceOf(QuotaError)
  })
})

describe('registerType refuses', () => {
  const codec = { encode: () => 0, decode: () => ({}) }
  test.each<[string, () => unknown, RegExp]>([
    [
      'a class twice',
      () => registerType(Vector, { name: 'Other', encode: () => 0, decode: () => new Vector(0, 0) }),
      /registered already, as "Vector"/,
    ],
    ['a name twice', () => registerType(class {}, { name: 'Vector', ...codec }), /by the name "Vector" already/],
    ['a name of its own', () => registerType(class {}, { name: 'Error', ...codec }), /built-in serializer/],
    ['an empty name', () => registerType(class {}, { name: '', ...codec }), /1 to 128/],
    [
      'a built-in class',
      () => registerType(Map, { name: 'M', encode: () => 0, decode: () => new Map() }),
      /without being registered/,
    ],
  ])('%s', (_, work, message) => {
    expect(work).toThrow(message)
  })
})
