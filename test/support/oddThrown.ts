/** Everything that a program may throw and that is hard to look at; made anew for each use. */
export const oddThrown: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  'a symbol': () => Symbol('odd'),
  'an object without a prototype': () => Object.create(null),
  'an error whose message throws': () =>
    Object.defineProperty(new Error('hidden'), 'message', {
      get() {
        throw new Error('the message throws')
      },
    }),
  'an error whose message, name, stack and code throw': () => {
    const error = new Error('hidden')
    // The stack first: it is made when it is looked at first, from the others.
    for (const name of ['stack', 'message', 'name', 'code', 'cause', 'toString']) {
      Object.defineProperty(error, name, {
        get() {
          throw new Error(`${name} throws`)
        },
      })
    }
    return error
  },
  'an object whose toString throws': () => ({
    toString() {
      throw new Error('toString throws')
    },
  }),
  'an object whose toString gives an object': () => ({ toString: () => ({}) }),
  'an error whose message is no text': () => Object.defineProperty(new Error('hidden'), 'message', { value: { a: 1 } }),
  'a proxy whose traps throw': () => {
    const trap = () => {
      throw new Error('a trap throws')
    }
    return new Proxy({}, { get: trap, getPrototypeOf: trap, has: trap, ownKeys: trap, getOwnPropertyDescriptor: trap })
  },
  'a proxy that was revoked': () => {
    const { proxy, revoke } = Proxy.revocable(new Error('hidden'), {})
    revoke()
    return proxy
  },
  'a module namespace': () => moduleNamespace,
  'a message without an end': () => new Error('x'.repeat(5_000_000)),
}

const moduleNamespace: unknown = await import('node:fs/promises')
