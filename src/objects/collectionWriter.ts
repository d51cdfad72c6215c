import { types } from 'node:util'
import { type CborWriter, major } from './cborWriter.ts'
import { changedMeanwhile, mapStep, Unsendable, under } from './encodeFailure.ts'
import { tags } from './tags.ts'

/** Writes a `Map`; false when the object is none. */
export function writeMap(writer: CborWriter, object: object): boolean {
  if (!types.isMap(object)) return false
  const { size } = object
  // A map whose first key is no text can be nothing but a Map; the others need the tag to differ from plain objects.
  if (size === 0 || typeof object.keys().next().value === 'string') writer.writeTag(tags.map)
  writer.writeContainerHead(major.map, size, 2 * size)
  writer.enter(1)
  let count = 0
  let step = ''
  try {
    for (const [key, value] of object) {
      step = `.keys()[${count++}]`
      writer.writeValue(key)
      step = ''
      try {
        writer.writeValue(value)
      } catch (thrown) {
        throw under(thrown, mapStep(key))
      }
    }
  } catch (thrown) {
    throw step === '' ? thrown : under(thrown, step)
  }
  if (count !== size) throw new Unsendable(changedMeanwhile)
  writer.enter(-1)
  return true
}

/** Writes a `Set`; false when the object is none. */
export function writeSet(writer: CborWriter, object: object): boolean {
  if (!types.isSet(object)) return false
  const { size } = object
  writer.writeTag(tags.set)
  writer.writeContainerHead(major.array, size)
  writer.enter(1)
  let count = 0
  try {
    for (const value of object) {
      writer.writeValue(value)
      count++
    }
  } catch (thrown) {
    throw under(thrown, `.values()[${count}]`)
  }
  if (count !== size) throw new Unsendable(changedMeanwhile)
  writer.enter(-1)
  return true
}
