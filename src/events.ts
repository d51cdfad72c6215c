import { createError } from './errors.ts'

/** The listeners of one event each. */
export type Listener<Value> = (value: Value) => void

/** Listeners by the event that they are for, to be there before the first event. */
export type Listeners<Events extends object> = { readonly [Name in keyof Events]?: Listener<Events[Name]> | undefined }

/** As in Node.js: more listeners of one event than this are probably added again and again by mistake. */
const MAX_LISTENERS_DEFAULT = 10

interface Entry<Value> {
  readonly listener: Listener<Value>
  readonly once: boolean
}

/**
 * Typed events: one value each. Unlike in `node:events`, an `error` that nobody listens to ends no program, and what a
 * listener throws interrupts nothing here: it becomes an uncaught exception of its own, as if a timer had thrown it.
 */
export class TypedEvents<Events extends object> {
  /** What listeners are called on, as `this`. */
  owner: object | undefined
  maxListeners: number = MAX_LISTENERS_DEFAULT
  readonly #entries = new Map<keyof Events, readonly Entry<never>[]>()
  readonly #warned = new Set<keyof Events>()

  /** `names` are all events that there are; a listener for another one is refused, since it would never be called. */
  constructor(names: readonly (keyof Events)[], listeners: Listeners<Events> = {}) {
    for (const name of names) this.#entries.set(name, [])
    // Object.keys gives strings; `add` checks at run time that each is the name of an event.
    for (const name of Object.keys(listeners) as (keyof Events)[]) {
      const listener = listeners[name]
      if (listener !== undefined) this.add(name, listener)
    }
  }

  /** Calls `listener` at every event of that name, or at the next one only; after those that are there, or before them. */
  add<Name extends keyof Events>(
    name: Name,
    listener: Listener<Events[Name]>,
    { once = false, first = false }: { once?: boolean; first?: boolean } = {},
  ): void {
    const known = this.#entries.get(name)
    if (known === undefined) throw this.#unknown(name)
    if (typeof listener !== 'function') {
      throw createError('INVALID_ARGUMENT', `The listener of '${String(name)}' is no function.`, {
        details: { argument: 'listener' },
      })
    }
    const entry = { listener, once }
    this.#entries.set(name, first ? [entry, ...known] : [...known, entry])
    this.#warnOfMany(name, known.length + 1)
  }

  /** Removes the listener that was added last of those that are this function; does nothing if there is none. */
  remove<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    const entry = this.#list(name).findLast((candidate) => candidate.listener === listener)
    if (entry !== undefined) this.#removeEntry(name, entry)
  }

  /** Removes all listeners, or all of one event. */
  removeAll(name?: keyof Events): void {
    for (const known of name === undefined ? [...this.#entries.keys()] : [name])
      if (this.#entries.has(known)) this.#entries.set(known, [])
  }

  /** Whether anybody listens. */
  has(name: keyof Events): boolean {
    return this.#list(name).length > 0
  }

  /** The listeners of an event, in the order in which they are called. */
  listeners<Name extends keyof Events>(name: Name): Listener<Events[Name]>[] {
    return this.#list(name).map(({ listener }) => listener)
  }

  /** The same as what is called: a listener that is called once is wrapped into a function that removes it first. */
  rawListeners<Name extends keyof Events>(name: Name): Listener<Events[Name]>[] {
    return this.#list(name).map((entry) => {
      if (!entry.once) return entry.listener
      return Object.assign((value: Events[Name]) => void this.#call(name, entry, value), { listener: entry.listener })
    })
  }

  /** The events that somebody listens to. */
  names(): (keyof Events)[] {
    return [...this.#entries.keys()].filter((name) => this.has(name))
  }

  /** Calls the listeners; returns whether there are any. */
  emit<Name extends keyof Events>(name: Name, value: Events[Name]): boolean {
    if (!this.#entries.has(name)) throw this.#unknown(name)
    const entries = this.#list(name)
    // A listener that is added or removed meanwhile makes a new list: this one is gone through to its end.
    for (const entry of entries) {
      try {
        this.#call(name, entry, value)
      } catch (thrown) {
        queueMicrotask(() => {
          throw thrown
        })
      }
    }
    return entries.length > 0
  }

  #call<Name extends keyof Events>(name: Name, entry: Entry<Events[Name]>, value: Events[Name]): void {
    // It may have been called already, by an event that an earlier listener caused.
    if (entry.once && !this.#removeEntry(name, entry)) return
    Reflect.apply(entry.listener, this.owner, [value])
  }

  #list<Name extends keyof Events>(name: Name): readonly Entry<Events[Name]>[] {
    // `add` puts only listeners of this event's values under its name.
    return (this.#entries.get(name) ?? []) as readonly Entry<Events[Name]>[]
  }

  #removeEntry<Name extends keyof Events>(name: Name, entry: Entry<Events[Name]>): boolean {
    const entries = this.#list(name)
    const index = entries.lastIndexOf(entry)
    if (index === -1) return false
    this.#entries.set(name, entries.toSpliced(index, 1))
    return true
  }

  #unknown(name: keyof Events): Error {
    const names = [...this.#entries.keys()].map(String).join(', ')
    return createError('INVALID_ARGUMENT', `There is no event '${String(name)}'; the events are ${names}.`, {
      details: { argument: 'name', event: String(name) },
    })
  }

  #warnOfMany(name: keyof Events, count: number): void {
    if (this.maxListeners === 0 || count <= this.maxListeners || this.#warned.has(name)) return
    this.#warned.add(name)
    const message = `There are ${count} listeners of '${String(name)}'. If they are not added again and again by mistake, raise setMaxListeners().`
    process.emitWarning(message, { type: 'MaxListenersExceededWarning' })
  }
}

/**
 * What listens to events as programs for Node.js expect it: `events.once`, `events.on`, `getEventListeners` and whatever else
 * takes an `EventEmitter` take this too. Its methods are those of Node.js, but for two things: an event has one value, and
 * a listener for an event that does not exist is refused with `INVALID_ARGUMENT`.
 */
export abstract class Emitter<Events extends object> {
  readonly #events: TypedEvents<Events>

  protected constructor(events: TypedEvents<Events>) {
    this.#events = events
    events.owner = this
  }

  /** Calls `listener` at each event of that name, after the listeners that are there. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    this.#events.add(name, listener)
    return this
  }

  /** {@link on} */
  addListener<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    return this.on(name, listener)
  }

  /** Calls `listener` at the next event of that name. */
  once<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    this.#events.add(name, listener, { once: true })
    return this
  }

  /** {@link on}, before the listeners that are there. */
  prependListener<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    this.#events.add(name, listener, { first: true })
    return this
  }

  /** {@link once}, before the listeners that are there. */
  prependOnceListener<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    this.#events.add(name, listener, { once: true, first: true })
    return this
  }

  /** Removes a listener; does nothing if it is not there. */
  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    this.#events.remove(name, listener)
    return this
  }

  /** {@link off} */
  removeListener<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    return this.off(name, listener)
  }

  /** Removes all listeners, or all of one event. */
  removeAllListeners(name?: keyof Events): this {
    this.#events.removeAll(name)
    return this
  }

  /** How many listeners an event has; with `listener`, how often it is one of them. */
  listenerCount<Name extends keyof Events>(name: Name, listener?: Listener<Events[Name]>): number {
    const listeners = this.#events.listeners(name)
    return listener === undefined ? listeners.length : listeners.filter((one) => one === listener).length
  }

  /** The listeners of an event, in the order in which they are called. */
  listeners<Name extends keyof Events>(name: Name): Listener<Events[Name]>[] {
    return this.#events.listeners(name)
  }

  /** {@link listeners}; those of `once` are wrapped into functions that remove them, with the property `listener`. */
  rawListeners<Name extends keyof Events>(name: Name): Listener<Events[Name]>[] {
    return this.#events.rawListeners(name)
  }

  /** The events that have listeners. */
  eventNames(): (keyof Events)[] {
    return this.#events.names()
  }

  /** From how many listeners of one event on a warning is printed; 0 for never. */
  getMaxListeners(): number {
    return this.#events.maxListeners
  }

  /** See {@link getMaxListeners}; 10 at first. */
  setMaxListeners(count: number): this {
    this.#events.maxListeners = count
    return this
  }

  /** Calls the listeners of an event, for programs that try out their own; returns whether there are any. */
  emit<Name extends keyof Events>(name: Name, value: Events[Name]): boolean {
    return this.#events.emit(name, value)
  }
}
