import { createError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { errorClasses, escapePointer, type JsonValue, setOwn, TYPE_PROPERTY, typedArrayClasses } from './jsonValue.ts'

/** Base64 of more would come near the longest string that V8 makes. */
const binaryBytesMax = 256 * 1024 * 1024

/** Where a value stands in the JSON that is being made; its pointer is only spelled out when something refers to it. */
interface Place {
  readonly parent: Place | undefined
  readonly step: string | number
  readonly depth: number
}

/**
 * Shows any object that can travel as JSON. What JSON has is shown as itself; what it does not have becomes an object
 * with `$type`, as docs/cli.md lists; an object that is met again becomes a reference to where it was met first, so
 * that what comes out is never longer than what went in.
 */
export function toJsonValue(value: unknown): JsonValue {
  return new Projection().show(value, { parent: undefined, step: '', depth: 0 })
}

class Projection {
  readonly #met = new Map<object, Place>()

  show(value: unknown, place: Place): JsonValue {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value
      case 'number':
        if (Number.isFinite(value) && !Object.is(value, -0)) return value
        return typed('number', { value: Object.is(value, -0) ? '-0' : String(value) })
      case 'bigint':
        return typed('BigInt', { value: String(value) })
      case 'undefined':
        return typed('undefined', {})
      case 'object':
        return value === null ? null : this.#showObject(value, place)
      default:
        throw createError(
          'NOT_SERIALIZABLE',
          `A ${typeof value} at ${pointerOf(place) || 'the root'} has no JSON form.`,
        )
    }
  }

  #showObject(value: object, place: Place): JsonValue {
    const first = this.#met.get(value)
    if (first !== undefined) return typed('Reference', { path: pointerOf(first) })
    // The serializer has the same bound: only an object of this process can be deeper.
    if (place.depth > fixedLimits.depthMax) {
      throw createError('NOT_SERIALIZABLE', `The object is nested deeper than ${fixedLimits.depthMax} levels.`)
    }
    this.#met.set(value, place)
    if (Array.isArray(value)) return Array.from(value, (item, index) => this.show(item, under(place, index)))
    return this.#showSpecial(value, place) ?? this.#showPlain(value, place)
  }

  #showSpecial(value: object, place: Place): JsonValue | undefined {
    if (value instanceof Date) {
      return typed('Date', { value: Number.isNaN(value.getTime()) ? null : value.toISOString() })
    }
    if (value instanceof RegExp) return typed('RegExp', { source: value.source, flags: value.flags })
    if (value instanceof Map) {
      const entries = under(place, 'entries')
      const pairs = Array.from(value, ([key, item], index) => {
        const pair = under(entries, index)
        return [this.show(key, under(pair, 0)), this.show(item, under(pair, 1))]
      })
      return typed('Map', { entries: pairs })
    }
    if (value instanceof Set) {
      const values = under(place, 'values')
      return typed('Set', { values: Array.from(value, (item, index) => this.show(item, under(values, index))) })
    }
    if (value instanceof Error) return this.#showError(value, place)
    return showBinary(value)
  }

  #showError(error: Error, place: Place): JsonValue {
    const shown: Record<string, JsonValue> = { name: error.name, message: error.message }
    if ('code' in error) shown.code = this.show(error.code, under(place, 'code'))
    if ('cause' in error) shown.cause = this.show(error.cause, under(place, 'cause'))
    return typed(Object.hasOwn(errorClasses, error.name) ? error.name : 'Error', shown)
  }

  #showPlain(value: object, place: Place): JsonValue {
    const entries = Object.entries(value)
    // An object that has a $type of its own must not be taken for one of ours.
    if (Object.hasOwn(value, TYPE_PROPERTY)) {
      const at = under(place, 'entries')
      const pairs = entries.map(([name, item], index): JsonValue => [name, this.show(item, under(under(at, index), 1))])
      return typed('Object', { entries: pairs })
    }
    const shown: { [name: string]: JsonValue } = {}
    for (const [name, item] of entries) setOwn(shown, name, this.show(item, under(place, name)))
    return shown
  }
}

function showBinary(value: object): JsonValue | undefined {
  if (value instanceof ArrayBuffer) return typed('ArrayBuffer', { base64: base64(new Uint8Array(value)) })
  if (!ArrayBuffer.isView(value)) return undefined
  const bytes = base64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
  if (value instanceof DataView) return typed('DataView', { base64: bytes })
  if (Buffer.isBuffer(value)) return typed('Buffer', { base64: bytes })
  const name = Object.keys(typedArrayClasses).find((candidate) => candidate === value.constructor.name)
  return typed(name ?? 'Uint8Array', { base64: bytes })
}

function base64(bytes: Uint8Array): string {
  if (bytes.byteLength > binaryBytesMax) {
    throw createError(
      'OBJECT_TOO_LARGE',
      `An array of ${bytes.byteLength} bytes is too large to be shown as JSON (at most ${binaryBytesMax}). Use --output-dir or --output raw.`,
      { details: { bytes: bytes.byteLength, bytesMax: binaryBytesMax } },
    )
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

function typed(type: string, fields: { [name: string]: JsonValue }): JsonValue {
  return { [TYPE_PROPERTY]: type, ...fields }
}

function under(parent: Place, step: string | number): Place {
  return { parent, step, depth: parent.depth + 1 }
}

function pointerOf(place: Place): string {
  const steps: string[] = []
  for (let at: Place = place; at.parent !== undefined; at = at.parent) steps.push(escapePointer(String(at.step)))
  return steps
    .reverse()
    .map((step) => `/${step}`)
    .join('')
}
