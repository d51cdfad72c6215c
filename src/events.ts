import { createError } from './errors.ts'

/** The listeners of one event each. */
export type Listener<Value> = (value: Value) => void

/** Listeners by the event that they are for, to be there before the first event. */
export type Listeners<Events extends object> = { readonly [Name in keyof Events]?: Listener<Events[Name]> | undefined }

/**
 * Typed events: one value each. Unlike in `node:events`, an `error` that nobody listens to ends no program, and what a
 * listener throws interrupts nothing here: it becomes an uncaught exception of its own, as if a timer had thrown it.
 */
export class TypedEvents<Events extends object> {
  readonly #listeners = new Map<keyof Events, readonly Listener<never>[]>()
  /** For `once`: the function that was added instead of the one that was given. */
  readonly #wrappers = new WeakMap<Listener<never>, Listener<never>[]>()

  /** `names` are all events that there are; a listener for another one is refused, since it would never be called. */
  constructor(names: readonly (keyof Events)[], listeners: Listeners<Events> = {}) {
    for (const name of names) this.#listeners.set(name, [])
    // Object.keys gives strings; `on` checks at run time that each is the name of an event.
    for (const name of Object.keys(listeners) as (keyof Events)[]) {
      const listener = listeners[name]
      if (listener !== undefined) this.on(name, listener)
    }
  }

  /** Calls `listener` at every event of that name, after those that were added before. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    const known = this.#known(name)
    if (typeof listener !== 'function') {
      throw createError('INVALID_ARGUMENT', `The listener of '${String(name)}' is no function.`, {
        details: { argument: 'listener' },
      })
    }
    this.#listeners.set(name, [...known, listener])
  }

  /** Calls `listener` at the next event of that name only. */
  once<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    const wrapper: Listener<Events[Name]> = (value) => {
      this.#remove(name, wrapper)
      listener(value)
    }
    this.on(name, typeof listener === 'function' ? wrapper : listener)
    this.#wrappers.set(listener, [...(this.#wrappers.get(listener) ?? []), wrapper])
  }

  /** Takes a listener away that `on` or `once` added; does nothing if it is not there. */
  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    for (const candidate of [listener, ...(this.#wrappers.get(listener) ?? [])]) {
      if (this.#remove(name, candidate)) return
    }
  }

  /** Whether anybody listens. */
  has(name: keyof Events): boolean {
    return this.#known(name).length > 0
  }

  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    // A listener that is added or taken away meanwhile makes a new list: this one is gone through to its end.
    for (const listener of this.#known(name)) {
      try {
        // `on` and `once` put only listeners of this event's values under its name.
        ;(listener as Listener<Events[Name]>)(value)
      } catch (thrown) {
        queueMicrotask(() => {
          throw thrown
        })
      }
    }
  }

  #known(name: keyof Events): readonly Listener<never>[] {
    const listeners = this.#listeners.get(name)
    if (listeners !== undefined) return listeners
    const names = [...this.#listeners.keys()].map(String).join(', ')
    throw createError('INVALID_ARGUMENT', `There is no event '${String(name)}'; the events are ${names}.`, {
      details: { argument: 'name', event: String(name) },
    })
  }

  #remove(name: keyof Events, listener: Listener<never>): boolean {
    const listeners = this.#known(name)
    const index = listeners.lastIndexOf(listener)
    if (index === -1) return false
    this.#listeners.set(name, listeners.toSpliced(index, 1))
    return true
  }
}
