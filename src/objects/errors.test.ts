import { describe, expect, test } from 'vitest'
import { decodeHex, encodeHex, throughMemory } from '../../test/support/objects.ts'

function received(error: Error): Error {
  const result = throughMemory(error)
  if (!(result instanceof Error)) throw new Error('not an error')
  return result
}

describe('an error whose class has a getter for its name', () => {
  test.each(['AbortError', 'TimeoutError', 'NoSuchName', 'Error'])(
    'such as a DOMException %s comes back as it is',
    (name) => {
      const sent = new DOMException('the reason', name)
      const error = received(sent)
      expect(error).toBeInstanceOf(DOMException)
      const { code, stack } = sent
      expect(error).toMatchObject({ name, message: 'the reason', code, stack })
      // As often as it is passed on.
      expect(received(error)).toMatchObject({ name, message: 'the reason', code, stack })
      expect(Object.keys(error)).toEqual([])
    },
  )

  test('such as the reason of a signal, or what a timer rejects with, can be sent', async () => {
    const { setTimeout: wait } = await import('node:timers/promises')
    const signal = AbortSignal.abort()
    const rejection: unknown = await wait(1, undefined, { signal }).catch((thrown: unknown) => thrown)
    if (!(rejection instanceof Error)) throw new Error('it did not reject')
    expect(received(rejection)).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: { name: 'AbortError' } })
    expect(Reflect.get(received(rejection), 'cause')).toBeInstanceOf(DOMException)
  })

  test('keeps its cause, which may be a circle', () => {
    const sent = new DOMException('outer', 'AbortError')
    Object.defineProperty(sent, 'cause', { value: sent, configurable: true })
    const error = received(sent)
    expect(error.cause).toBe(error)
  })

  test('of a program that reads what only instances have', () => {
    class Secretive extends RangeError {
      readonly #name = 'Secretive'
      override get name(): string {
        return this.#name
      }
      override get message(): string {
        return `${this.#name} says no`
      }
    }
    const error = received(new Secretive())
    expect(error).toBeInstanceOf(RangeError)
    expect(error).toMatchObject({ name: 'Secretive', message: 'Secretive says no' })
  })

  test('loses what cannot be read, and no more', () => {
    class Broken extends TypeError {
      static override get name(): string {
        throw new Error('not even its class')
      }
      override get name(): string {
        throw new Error('never')
      }
      readonly code = 'E_BROKEN'
    }
    expect(received(new Broken('text'))).toMatchObject({ name: 'TypeError', message: 'text', code: 'E_BROKEN' })
  })

  test('is refused with the path when its name is no data', () => {
    const error = Object.defineProperty(new Error('x'), 'name', { value: () => 'f', configurable: true })
    expect(() => throughMemory([error])).toThrow(/object\[0\]\.name is a function/)
  })
})

describe('a class of errors that is not everywhere', () => {
  const suppressed = `d81b84${text('Error')}${text('SuppressedError')}a2${text('error')}01${text('suppressed')}02a0`

  test('comes as that class where it is, and else as an error with its name', () => {
    const error = decodeHex(suppressed)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'SuppressedError', error: 1, suppressed: 2, message: '' })
    const type: unknown = Reflect.get(globalThis, 'SuppressedError')
    if (typeof type === 'function') expect(error).toBeInstanceOf(type)
    else expect(Object.getPrototypeOf(error)).toBe(Error.prototype)
  })

  test.runIf('SuppressedError' in globalThis)('is sent with what it suppresses', () => {
    const type: unknown = Reflect.get(globalThis, 'SuppressedError')
    if (typeof type !== 'function') throw new Error('no class')
    const sent: unknown = Reflect.construct(type, [new Error('a'), new Error('b'), 'both'])
    if (!(sent instanceof Error)) throw new Error('no error')
    expect(received(sent)).toBeInstanceOf(type)
    expect(received(sent)).toMatchObject({ message: 'both', error: { message: 'a' }, suppressed: { message: 'b' } })
  })
})

test('The built-in classes come back as they are, with exactly their own properties.', () => {
  const aggregate = new AggregateError([new URIError('u'), 1], 'several')
  for (const sent of [
    new Error('e'),
    new EvalError(),
    new SyntaxError('s', { cause: 0 }),
    new ReferenceError('r'),
    aggregate,
  ]) {
    const error = received(sent)
    expect(Object.getPrototypeOf(error)).toBe(Object.getPrototypeOf(sent))
    expect(new Set(Object.getOwnPropertyNames(error))).toEqual(new Set(Object.getOwnPropertyNames(sent)))
    expect(error).toStrictEqual(sent)
  }
  expect(encodeHex(new Error('e'))).toContain(text('message') + text('e'))
})

function text(value: string): string {
  return `${(0x60 + value.length).toString(16)}${Buffer.from(value).toString('hex')}`
}
