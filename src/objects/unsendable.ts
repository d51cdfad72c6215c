import { types } from 'node:util'
import { Unsendable } from './encodeFailure.ts'
import { registeredParent } from './typeRegistry.ts'

const iteratorPrototype: unknown = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()))
const asyncIteratorPrototype: unknown = Object.getPrototypeOf(
  Object.getPrototypeOf(Object.getPrototypeOf((async function* () {})())),
)

/** Built-in objects that are no data: how to see that an object is one, and the rest of the sentence "object.a ...". */
const kinds: readonly (readonly [is: (object: object) => boolean, what: string])[] = [
  [types.isSharedArrayBuffer, 'lies in shared memory, which others may change meanwhile; send a copy of it'],
  [types.isPromise, 'is a promise; await it and send its value'],
  [isAsyncIterator, 'is an asynchronous iterator or generator, which can be read only here; send what it yields'],
  [isIterator, 'is an iterator or generator, which can be read only here; send what it yields, as an array: [...it]'],
  [types.isWeakMap, 'is a WeakMap, whose content nobody can list; send a Map'],
  [types.isWeakSet, 'is a WeakSet, whose content nobody can list; send a Set'],
  [(object) => object instanceof WeakRef, 'is a WeakRef; send what it refers to'],
  [(object) => object instanceof FinalizationRegistry, 'is a FinalizationRegistry, which cannot be sent'],
  [(object) => object instanceof AbortSignal, 'is an AbortSignal, which means something only in this process'],
]

/** The failure for an object that is of no kind that can be sent. */
export function unsendableObject(object: object): Unsendable {
  for (const [is, what] of kinds) if (is(object)) return new Unsendable(what)
  const name = classNameOf(object)
  if (name === undefined) {
    return new Unsendable('inherits from another object, not from a class, which would be lost; send plain data')
  }
  const shown = name === '' ? 'a class without a name' : name
  const parent = registeredParent(object)
  const inherits =
    parent === undefined ? '' : ` (its parent "${parent}" is, but that would not bring it back as what it is)`
  return new Unsendable(
    `is an instance of ${shown}, which is not registered${inherits}: call registerType(${name === '' ? 'the class' : name}, ...) on every side, or send plain data`,
  )
}

function isIterator(object: object): boolean {
  return inherits(object, iteratorPrototype)
}

function isAsyncIterator(object: object): boolean {
  return inherits(object, asyncIteratorPrototype)
}

function inherits(object: object, ancestor: unknown): boolean {
  for (let prototype: object | null = Object.getPrototypeOf(object); prototype !== null; ) {
    if (prototype === ancestor) return true
    prototype = Object.getPrototypeOf(prototype)
  }
  return false
}

/** The name of an object's class, which is not asked of the object itself; undefined when its prototype is of no class. */
function classNameOf(object: object): string | undefined {
  const prototype: object = Object.getPrototypeOf(object)
  const type: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  if (typeof type !== 'function') return undefined
  const name: unknown = Object.getOwnPropertyDescriptor(type, 'name')?.value
  return typeof name === 'string' ? name : ''
}
