import { Unsendable } from './encodeFailure.ts'
import { registeredParent } from './typeRegistry.ts'

const sharedMemory = 'lies in shared memory, which others may change meanwhile; send a copy of it'

/** The failure for an object that is of no kind that can be sent. */
export function unsendableObject(object: object): Unsendable {
  const type: unknown = Reflect.get(object, 'constructor')
  const name = typeof type === 'function' && type.name !== '' ? type.name : 'a class without a name'
  if (name === 'SharedArrayBuffer') return new Unsendable(sharedMemory)
  if (['Promise', 'WeakMap', 'WeakSet', 'WeakRef'].includes(name))
    return new Unsendable(`is a ${name}, which cannot be sent`)
  const parent = registeredParent(object)
  const inherits =
    parent === undefined ? '' : ` (its parent "${parent}" is, but that would not bring it back as what it is)`
  return new Unsendable(
    `is an instance of ${name}, which is not registered${inherits}: call registerType(${name}, ...) on every side, or send plain data`,
  )
}
