/// <reference lib="esnext.disposable" preserve="true" />
// The program's side of an endpoint: what runs on the program's thread, from `produce()` into the ring, and from the ring to `pop()`.
// It may import records.ts, threads/, objects, wire and the checks of security; never network/, transport or sockets.
// Changes that belong here: methods and options of `Endpoint`; how objects are encoded, wait in the inbox, are taken, worked on and settled.

import { createError, type ObjectRelayError, toObjectRelayError } from '../../errors.ts'
import { Emitter } from '../../events.ts'
import { checkNames, describeValue } from '../../options.ts'
import { openIo } from '../openIo.ts'
import type { Batch } from './consumer.ts'
import { deliveryOf, iterate } from './deliveries.ts'
import { Destinations, mergeReceipts, type PreparedRoute } from './destinations.ts'
import {
  checkEndpointOptions,
  type EndpointConnectOptions,
  type EndpointOptions,
  takeConnectTimeoutMs,
} from './endpointOptions.ts'
import { EndpointProgram } from './endpointProgram.ts'
import type {
  BroadcastOptions,
  Counts,
  Delivery,
  DeliveryOf,
  EndpointEvents,
  EndpointStats,
  GroupName,
  MaxItems,
  MemberName,
  ObjectForAll,
  ObjectIn,
  ObjectOf,
  Receipt,
  SendOptions,
  StopResult,
  SupersededReceipt,
  TakeOptions,
  TakeSyncOptions,
  Work,
  WorkOptions,
} from './endpointTypes.ts'
import type { Sending } from './sender.ts'
import { checkStopOptions } from './stopping.ts'
import { checkTakeOptions, type TakeOrder } from './takeOptions.ts'
import type { WorkHandler } from './workerPool.ts'

const nothing = () => undefined

/**
 * A member of groups, connected to a relay: sends objects to groups, and receives those of its own into its inbox.
 * `Groups` may name the type of each group's objects: `Endpoint.connect<{ trainers: Episode; workers: Weights }>(...)`; without it, `schemas`
 * do. `Own` are the groups whose objects arrive: `Endpoint.connect<Types, 'trainers'>(...)`; where neither is named, those of the option `groups`.
 */
export class Endpoint<
    Groups extends object = Record<string, unknown>,
    Own extends MemberName<Groups> = MemberName<Groups>,
  >
  extends Emitter<EndpointEvents>
  implements AsyncIterable<ObjectOf<Groups, Own>>
{
  readonly #program: EndpointProgram
  readonly #destinations = new Destinations()
  #stopped: Promise<StopResult> | undefined
  #lastRejection: { readonly error: ObjectRelayError; readonly promise: Promise<never> } | undefined

  /**
   * Begins to connect, in the background, and retries forever; what is sent meanwhile waits, within `limits.sendBytesMax`,
   * and goes out in order. Throws `INVALID_OPTION`; what the network does is told by events, see {@link on}.
   */
  constructor(options: EndpointOptions<Groups, Own>) {
    const checked = checkEndpointOptions(options)
    const program = new EndpointProgram(checked, openIo(checked.io))
    super(program.events)
    this.#program = program
  }

  /**
   * Makes an endpoint that the relay has accepted. While the relay is not up it retries for `connectTimeoutMs` and
   * then rejects with `CONNECT_TIMEOUT`, whose cause is the last error; a refusal (a wrong password, a full group, ...)
   * rejects at once with its own class of error. The option `on: { connecting }` shows each attempt.
   */
  static async connect<
    Groups extends object = Record<string, unknown>,
    Own extends MemberName<Groups> = MemberName<Groups>,
  >(options: EndpointConnectOptions<Groups, Own>): Promise<Endpoint<Groups, Own>> {
    const { connectTimeoutMs, endpointOptions } = takeConnectTimeoutMs(options)
    const endpoint = new Endpoint<Groups, Own>(endpointOptions)
    try {
      await endpoint.#program.connected(connectTimeoutMs)
    } catch (refusal) {
      await endpoint.stop({ deadlineMs: 0 })
      // Where the program called is of use to it; where a timer fired, or a record was read, is not.
      if (refusal instanceof Error) Error.captureStackTrace(refusal, Endpoint.connect)
      throw refusal
    }
    return endpoint
  }

  /** What the relay tells this endpoint by in its events, statistics and logs. It is the same over all connections, and no secret. */
  get id(): string {
    return this.#program.id
  }

  /** What people call this endpoint: the option `name`. */
  get name(): string {
    return this.#program.name
  }

  /**
   * Sends an object to every member of some groups; it is also each group's retained broadcast, which members that join later
   * receive. Resolves when the relay has accepted it; with `replace`, also when a newer one took its place, see
   * {@link BroadcastOptions}. See {@link produce} for what may go wrong.
   */
  broadcast<Name extends GroupName<Groups>>(
    object: ObjectForAll<Groups, Name>,
    group: Name | readonly Name[],
    options?: BroadcastOptions & { replace?: false | undefined },
  ): Promise<Receipt<Name>>
  broadcast<Name extends GroupName<Groups>>(
    object: ObjectForAll<Groups, Name>,
    group: Name | readonly Name[],
    options?: BroadcastOptions,
  ): Promise<Receipt<Name> | SupersededReceipt>
  broadcast<Name extends GroupName<Groups>>(
    object: ObjectForAll<Groups, Name>,
    group: Name | readonly Name[],
    options?: BroadcastOptions,
  ): Promise<Receipt<Name> | SupersededReceipt> {
    return this.#send(() => {
      const sending = checkSending(options, broadcastOptions)
      const route = this.#destinations.groups(sending.retain ? 'broadcast' : 'unretained', group)
      return this.#program.sender.send(object, route, sending)
    })
  }

  /**
   * Removes the retained broadcast of a group, or of several: members that join later get none, until there is another one. In order with the
   * broadcasts of this endpoint to that group. Resolves when the relay has done it; harmless if there is none. See {@link produce} for what may go wrong.
   */
  clearRetained(group: GroupName<Groups> | readonly GroupName<Groups>[]): Promise<void> {
    return this.#send(() =>
      quietly(this.#program.sender.clear(this.#destinations.groups('clear', group)).then(nothing)),
    )
  }

  /**
   * Puts an object into the queue of each of some groups, where one member consumes it. Resolves when the relay has accepted it.
   * The object is taken as it is at the call. A call beyond `limits.sendBytesMax` waits for room.
   *
   * Rejects with `INVALID_ARGUMENT`, `NOT_SERIALIZABLE` (with the path in the object), `OBJECT_TOO_LARGE`, `SEND_ROOM_FULL`,
   * `QUEUE_FULL`, `GROUP_NOT_ACCEPTED`, `STOPPED`, or with why the endpoint was refused. It need not be awaited: each
   * failure is an `error` event too.
   */
  produce<Name extends GroupName<Groups>>(
    object: ObjectForAll<Groups, Name>,
    group: Name | readonly Name[],
    options?: SendOptions,
  ): Promise<Receipt<Name>> {
    return this.#send(() => this.#sendRoute(object, this.#destinations.groups('produce', group), options))
  }

  /**
   * Sends an object to a destination: `'g'` and `['g', 'h']` broadcast; in `{ g: count }` -1 broadcasts, 1 and more produces
   * so many copies, 0 does nothing. See {@link produce} for what may go wrong.
   */
  sendObject<Name extends GroupName<Groups>>(
    object: ObjectForAll<Groups, Name>,
    destination: Counts<Name>,
    options?: SendOptions,
  ): Promise<Receipt<Name>>
  sendObject<Name extends GroupName<Groups>>(
    object: ObjectForAll<Groups, Name>,
    destination: Name | readonly Name[] | Counts<Name>,
    options?: SendOptions,
  ): Promise<Receipt<Name>>
  sendObject<Name extends GroupName<Groups>>(
    object: ObjectForAll<Groups, Name>,
    destination: Name | readonly Name[] | Counts<Name>,
    options?: SendOptions,
  ): Promise<Receipt<Name>> {
    return this.#send(() => this.#sendRoutes(object, this.#destinations.destination(destination), options))
  }

  /**
   * Asks for produced objects: `'g'` and `['g', 'h']` for one of each group; `{ g: 5 }` for five, as they come; `{ g: -1 }` for
   * all that wait at the relay when it is asked. What is asked is added up, and remembered over a lost link. Resolves when
   * it is on its way. Rejects with `INVALID_ARGUMENT` and `NOT_A_MEMBER`, which are `error` events too.
   */
  notify(request: Own | readonly Own[] | Counts<Own>): Promise<void> {
    return this.#guard(async () => this.#program.credit.notify(request))
  }

  /**
   * Takes the oldest objects out of the inbox, at most `maxItems`. Empty if there are none; with `blocking` it waits for one,
   * and is empty only at the timeout or when the endpoint is stopped meanwhile. Calls that wait are served in their order.
   * Being taken is what acknowledges a produced object. An object that cannot be decoded, or does not fit its schema, is an
   * `error` event and left out; a produced one is given back as failed, and another one asked for in its place. Rejects with `INVALID_ARGUMENT`, `STOPPED`, the signal's reason, or
   * with why the endpoint was refused.
   */
  pop(options: MaxItems & TakeOptions = {}): Promise<ObjectOf<Groups, Own>[]> {
    return this.#take('oldest', options)
  }

  /** Takes the newest objects out of the inbox, at most `maxItems`, oldest of them first; those before them are discarded and count as taken, read or not. Else like {@link pop}. */
  getLast(options: MaxItems & TakeOptions = {}): Promise<ObjectOf<Groups, Own>[]> {
    return this.#take('newest', options)
  }

  /** Takes everything out of the inbox, oldest first. Else like {@link pop}. */
  retrieveAll(options: TakeOptions = {}): Promise<ObjectOf<Groups, Own>[]> {
    return this.#take('all', options)
  }

  /** {@link pop} for a program that works in a loop without awaiting anything: `blocking` blocks the thread. Throws instead of rejecting. */
  popSync(options: MaxItems & TakeSyncOptions = {}): ObjectOf<Groups, Own>[] {
    return this.#takeSync('oldest', options)
  }

  /** {@link getLast}, see {@link popSync}. */
  getLastSync(options: MaxItems & TakeSyncOptions = {}): ObjectOf<Groups, Own>[] {
    return this.#takeSync('newest', options)
  }

  /** {@link retrieveAll}, see {@link popSync}. */
  retrieveAllSync(options: TakeSyncOptions = {}): ObjectOf<Groups, Own>[] {
    return this.#takeSync('all', options)
  }

  /**
   * One object after the other as they come, until the endpoint is stopped. Each is acknowledged when the next one is asked for,
   * or when the loop is left and the program goes on.
   */
  [Symbol.asyncIterator](): AsyncGenerator<ObjectOf<Groups, Own>, void, undefined> {
    // That objects are of these types is what the program states; a schema checks it.
    return iterate(this.#program, (_entry, object) => object as ObjectOf<Groups, Own>)
  }

  /**
   * The same with what surrounds each object. `ack()` and `release()` settle it, the first call counts; without one it is
   * acknowledged when the next one is asked for.
   */
  deliveries(): AsyncGenerator<DeliveryOf<Groups, Own>, void, undefined> {
    const { settlement } = this.#program
    // As above; the group is one of them, since the endpoint receives nothing else.
    return iterate(
      this.#program,
      (entry, object) => deliveryOf(entry, object, settlement) as unknown as DeliveryOf<Groups, Own>,
    )
  }

  /**
   * Runs `handler` on the produced objects of a group, at most `concurrency` at once (default 1), and asks for as many. When it
   * resolves, the object is acknowledged; when it throws, the object is tried again after `retryDelayMs`, here or elsewhere, up to
   * `attemptsMax` times, and an `error` event tells why; after an `UnrecoverableError` it is not. Broadcasts of the group stay in
   * the inbox. Several calls for one group share its objects.
   * Throws `INVALID_ARGUMENT`, `NOT_A_MEMBER`, `STOPPED`, or why the endpoint was refused.
   */
  work<Name extends string>(
    group: Name extends Own ? Name : Own,
    handler: (object: ObjectIn<Groups, Name>, delivery: Delivery<ObjectIn<Groups, Name>, Name>) => unknown,
    options: WorkOptions = {},
  ): Work {
    const obstacle = this.#program.status.receivingObstacle
    if (obstacle !== undefined) throw obstacle
    // The handler is given objects of its own group only; that they are of its type is what the program states.
    return this.#program.workers.start(group, handler as unknown as WorkHandler, options)
  }

  /**
   * Ends the endpoint: waits for the handlers of `work` and for loops over produced objects to settle what they have, gives back what was
   * not taken, and sends what was sent, for at most `deadlineMs` (default 10 000). So leave a loop before you await this. Resolves to what could not be delivered, whose promises are rejected. Calls that wait for
   * objects end with none. Afterwards every call fails with `STOPPED`; a second stop gives the same promise.
   */
  stop(options: { deadlineMs?: number | undefined } = {}): Promise<StopResult> {
    if (this.#stopped !== undefined) return this.#stopped
    let deadlineMs: number
    try {
      deadlineMs = checkStopOptions(options)
    } catch (error) {
      return quietly(Promise.reject(error))
    }
    this.#stopped = this.#program.stopping.run(deadlineMs)
    return this.#stopped
  }

  /** {@link stop}, for `await using endpoint = await Endpoint.connect(...)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /**
   * The program may end although this endpoint is not stopped, as with `unref()` of a socket: what it has not sent is lost then, and what
   * it holds goes back after `sessionGraceMs`. To send the rest, `stop()` it: that is waited for.
   */
  unref(): this {
    this.#program.keepAlive(false)
    return this
  }

  /** Takes back {@link unref}: the program is kept alive until the endpoint is stopped, as at first. */
  ref(): this {
    this.#program.keepAlive(true)
    return this
  }

  /** Where the endpoint stands: a plain snapshot. */
  stats(): EndpointStats {
    return this.#program.stats()
  }

  #sendRoutes(object: unknown, routes: readonly PreparedRoute[], options: SendOptions | undefined): Promise<Receipt> {
    const [first] = routes
    if (routes.length === 1 && first !== undefined) return this.#sendRoute(object, first, options)
    const obstacle = this.#program.status.sendingObstacle
    if (obstacle !== undefined) throw obstacle
    // What is given away can be given away once: with the last.
    const sent = routes.map((route, at) =>
      this.#sendRoute(object, route, at === routes.length - 1 ? options : undefined),
    )
    return quietly(Promise.all(sent).then(mergeReceipts))
  }

  #sendRoute(object: unknown, route: PreparedRoute, options: SendOptions | undefined): Promise<Receipt> {
    // Only what is sent with `replace` is ever superseded.
    return this.#program.sender.send(object, route, checkSending(options, sendOptions)) as Promise<Receipt>
  }

  /** Turns what is thrown into a rejection, and tells of it by an event: not awaiting it is legal. */
  #send<Result>(send: () => Promise<unknown>): Promise<Result> {
    try {
      // The members of a receipt are the groups of the destination.
      return send() as Promise<Result>
    } catch (thrown) {
      return this.#rejection(this.#reported(thrown)) as Promise<Result>
    }
  }

  /** Calls that fail with the same error, as all do while there is no room, share a promise: they may be very many. */
  #rejection(error: ObjectRelayError): Promise<never> {
    const last = this.#lastRejection
    if (last?.error === error) return last.promise
    // With a handler from the beginning, or Node.js would keep it for its list of unhandled ones until the next turn.
    let reject: (error: ObjectRelayError) => void = nothing
    const promise = new Promise<never>((_, whenRejected) => {
      reject = whenRejected
    })
    promise.catch(nothing)
    reject(error)
    this.#lastRejection = { error, promise }
    return promise
  }

  #guard(call: () => Promise<void>): Promise<void> {
    return quietly(
      call().catch((thrown: unknown) => {
        throw this.#reported(thrown)
      }),
    )
  }

  #reported(thrown: unknown): ObjectRelayError {
    const error = toObjectRelayError(thrown, 'INVALID_ARGUMENT')
    // Why the endpoint was refused was told once.
    if (error !== this.#program.status.failure) this.#program.report(error)
    return error
  }

  #take(order: TakeOrder, options: unknown): Promise<ObjectOf<Groups, Own>[]> {
    // That objects are of these types is what the program states; a schema checks it.
    const objectsOf = ({ objects }: Batch) => objects as ObjectOf<Groups, Own>[]
    try {
      const taken = this.#program.consumer.take(checkTakeOptions(order, options, false))
      return taken instanceof Promise ? quietly(taken.then(objectsOf)) : Promise.resolve(objectsOf(taken))
    } catch (thrown) {
      return quietly(Promise.reject(thrown))
    }
  }

  #takeSync(order: TakeOrder, options: unknown): ObjectOf<Groups, Own>[] {
    // As above.
    return this.#program.consumer.takeSync(checkTakeOptions(order, options, true)).objects as ObjectOf<Groups, Own>[]
  }
}

/** Keeps a promise that nobody awaits from ending the program. */
function quietly<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(nothing)
  return promise
}

const sendOptions = ['transfer'] as const
const broadcastOptions = ['transfer', 'replace', 'retain'] as const
const usualSending = { transfer: false, replace: false, retain: true }

function checkSending(
  options: unknown,
  names: typeof sendOptions | typeof broadcastOptions,
): Sending & { readonly retain: boolean } {
  if (options === undefined) return usualSending
  const given = checkNames(options, names, { where: 'a call that sends', code: 'INVALID_ARGUMENT' })
  return {
    transfer: checkFlag('transfer', given.transfer),
    replace: checkFlag('replace', given.replace),
    retain: checkFlag('retain', given.retain ?? true),
  }
}

function checkFlag(argument: string, value: unknown = false): boolean {
  if (typeof value === 'boolean') return value
  throw createError('INVALID_ARGUMENT', `${argument} is ${describeValue(value)}; it must be true or false.`, {
    details: { argument },
  })
}
