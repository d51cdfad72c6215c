import { Broker } from '../../src/core/broker.ts'
import type { BrokerEvent, BrokerOptions, BrokerOutput, Delivery, Route } from '../../src/core/contract.ts'
import type { Session } from '../../src/core/session.ts'
import type { ObjectRelayError } from '../../src/errors.ts'
import { JournalModel } from './journalModel.ts'

export interface ModelPayload {
  readonly bytes: number
  readonly id: number
}

/** One object, as its sender knows it. */
interface Sent {
  readonly payload: ModelPayload
  readonly sender: ModelSession
  readonly sequence: number
  readonly route: Route
  readonly large: boolean
  state: 'offered' | 'admitted' | 'accepted' | 'rejected' | 'aborted'
}

interface Copy {
  readonly sent: Sent
  order: number
  attempt: number
}

interface ModelMember {
  credit: number
  leases: number
  since: number
  /** Broadcasts since it joined, or since the last one that it got. */
  due: Sent[]
}

export interface ModelSession {
  readonly id: string
  session: Session<ModelPayload> | undefined
  state: 'attached' | 'detached' | 'ended'
  room: number
  readonly inboxBytes: number
  readonly members: Map<string, ModelMember>
  readonly leases: Map<number, { copy: Copy; group: string }>
  nextLease: number
  readonly blocked: Set<string>
  readonly abortedLeases: Set<number>
  /** By group: the sequence of the last object that was let in. */
  readonly lastIn: Map<string, number>
}

interface ModelGroup {
  queue: Copy[]
  nextOrder: number
  broadcasts: Sent[]
  last: Sent | undefined
}

/**
 * The broker as one would explain it: lists, searched from the front. It does not foresee what the broker does, but knows for each
 * thing that the broker does whether it was right.
 */
export class BrokerModel implements BrokerOutput<ModelPayload> {
  readonly broker: Broker<ModelPayload>
  readonly sessions: Map<string, ModelSession> = new Map()
  readonly sent: Sent[] = []
  readonly journal: JournalModel<ModelPayload> = new JournalModel()
  private readonly groups = new Map<string, ModelGroup>()
  private readonly releasedIds = new Set<number>()
  private readonly attemptsMax: number
  private ticks = 0
  /** By lease number, the group of each delivery that is given back before it is whole. */
  private readonly discards = new Map<number, string>()

  constructor(options: BrokerOptions) {
    this.broker = new Broker(options, this, this.journal)
    this.attemptsMax = options.limits.attemptsMax
  }

  join(id: string, groups: string[], broadcasts: 'every' | 'latest', inboxBytes: number): void {
    const model: ModelSession = {
      id,
      session: undefined,
      state: 'attached',
      room: inboxBytes,
      inboxBytes,
      members: new Map(),
      leases: new Map(),
      nextLease: 0,
      blocked: new Set(),
      abortedLeases: new Set(),
      lastIn: new Map(),
    }
    for (const name of groups) {
      const { last, broadcasts: all } = this.group(name)
      const due = last === undefined ? [] : [last]
      const later = all.slice(last === undefined ? 0 : all.indexOf(last) + 1)
      due.push(...later.filter((sent) => sent.state === 'admitted'))
      model.members.set(name, { credit: 0, leases: 0, since: 0, due })
    }
    this.sessions.set(id, model)
    model.session = this.broker.join(id, groups, { broadcasts, inboxBytes })
  }

  /** What the model knows happens before the broker is asked to, so that each output finds it done. */
  leave(model: ModelSession): void {
    this.end(model)
    this.broker.leave(sessionOf(model), 'left')
    this.purge()
  }

  detach(model: ModelSession, nowMs: number): void {
    model.state = 'detached'
    this.broker.detach(sessionOf(model), nowMs)
  }

  attach(model: ModelSession): void {
    model.state = 'attached'
    this.broker.attach(sessionOf(model))
  }

  send(sender: ModelSession, route: Route, bytes: number, large: boolean): void {
    const sequence = this.sent.length
    const sent: Sent = { payload: { bytes, id: sequence }, sender, sequence, route, large, state: 'offered' }
    this.sent.push(sent)
    if (route.kind === 'broadcast' && !large) this.spread(sent)
    const { broker } = this
    if (large) broker.begin(sessionOf(sender), sequence, route, sent.payload)
    else broker.send(sessionOf(sender), sequence, route, sent.payload)
    if (route.kind === 'broadcast') must(sent.state !== 'offered', 'a broadcast is never held back')
  }

  complete(sent: Sent): void {
    if (sent.route.kind === 'broadcast') this.keepAsLast(sent)
    this.broker.complete(sessionOf(sent.sender), sent.sequence)
    must(sent.state === 'accepted', 'what is complete is accepted')
  }

  abort(sent: Sent): void {
    const { sender, sequence } = sent
    this.forget(sent)
    this.broker.abort(sessionOf(sender), sequence)
  }

  notify(model: ModelSession, name: string, count: number): void {
    const member = memberOf(model, name)
    const added = count === -1 ? Math.max(0, this.group(name).queue.length - member.credit) : count
    this.credit(member, added)
    must(
      this.broker.notify(sessionOf(model), name, count) === added,
      'the credit that notify tells is that which it added',
    )
  }

  acknowledge(model: ModelSession, numbers: number[]): void {
    for (const number of numbers) this.endLease(model, number)
    const [from, to] = ends(numbers)
    this.broker.acknowledge(sessionOf(model), from, to)
  }

  release(model: ModelSession, numbers: number[], attemptCounted: boolean): void {
    for (const number of numbers) {
      const lease = model.leases.get(number)
      if (lease?.copy.sent.state === 'admitted') this.discards.set(number, lease.group)
      this.giveBack(model, number, attemptCounted)
    }
    const [from, to] = ends(numbers)
    this.broker.release(sessionOf(model), from, to, { attemptCounted })
    must(this.discards.size === 0, 'what is given back before it is whole is to be discarded')
  }

  widen(model: ModelSession, bytes: number): void {
    const session = sessionOf(model)
    model.room += bytes
    this.broker.setWindow(session, session.limitBytes + bytes)
  }

  advance(nowMs: number): void {
    this.broker.advance(nowMs)
    this.purge()
  }

  /** What must hold between two calls: exactly what nobody refers to was released. */
  check(): void {
    this.journal.compare(this.broker.places())
    const kept = new Set<number>()
    for (const { queue, last } of this.groups.values()) {
      for (const { sent } of queue) kept.add(sent.payload.id)
      if (last !== undefined) kept.add(last.payload.id)
    }
    for (const model of this.sessions.values()) {
      for (const { copy } of model.leases.values()) kept.add(copy.sent.payload.id)
      for (const { parcel } of model.session?.backlog ?? []) kept.add(parcel.payload.id)
    }
    for (const { state, payload } of this.sent) {
      const isKept = kept.has(payload.id) || state === 'offered' || state === 'admitted'
      must(isKept !== this.releasedIds.has(payload.id), `object ${payload.id} is ${isKept ? 'kept' : 'released'}`)
    }
  }

  deliver(session: Session<ModelPayload>, delivery: Delivery<ModelPayload>): void {
    const model = this.modelOf(session)
    const { bytes } = delivery.payload
    must(model.state === 'attached', 'only who has a link gets something')
    must(bytes <= model.room || model.room >= model.inboxBytes, `${model.id} has room for ${bytes} bytes`)
    if (delivery.kind === 'broadcast') this.checkBroadcast(model, delivery)
    else this.checkProduced(model, delivery)
    model.room -= bytes
  }

  accepted(_session: Session<ModelPayload>, sequence: number, memberCounts: readonly number[]): void {
    const sent = this.sentAs(sequence)
    must(sent.state === (sent.large ? 'admitted' : 'offered'), 'an object is accepted once')
    const { kind, groups } = sent.route
    for (const [index, name] of groups.entries()) {
      must(memberCounts[index] === this.membersOf(name).length, `the members of ${name} are counted`)
    }
    if (kind === 'broadcast' && !sent.large) this.keepAsLast(sent)
    if (kind === 'produce' && !sent.large) this.enqueue(sent)
    sent.state = 'accepted'
  }

  admitted(_session: Session<ModelPayload>, sequence: number): void {
    const sent = this.sentAs(sequence)
    must(sent.large && sent.state === 'offered', 'a large object is admitted once')
    sent.state = 'admitted'
    if (sent.route.kind === 'broadcast') this.spread(sent)
    else this.enqueue(sent)
  }

  rejected(_session: Session<ModelPayload>, sequence: number, _error: ObjectRelayError): void {
    const sent = this.sentAs(sequence)
    must(sent.state === 'offered', 'what was accepted is not rejected')
    this.forget(sent)
    sent.state = 'rejected'
  }

  abortDelivery(session: Session<ModelPayload>, payload: ModelPayload, number: number): void {
    const model = this.modelOf(session)
    const sent = this.sentAs(payload.id)
    const discarded = this.discards.get(number)
    if (discarded !== undefined) {
      must(sent.state === 'admitted', 'what is given back and whole is not to be discarded')
      this.discards.delete(number)
      this.credit(memberOf(model, discarded), 1)
      return
    }
    must(model.state !== 'ended' && sent.state === 'aborted', 'only what is aborted is to be discarded')
    if (sent.route.kind === 'broadcast') return
    const lease = this.endLease(model, number)
    must(lease?.copy.sent === sent, 'only what was delivered is to be discarded')
    model.abortedLeases.add(number)
    if (lease !== undefined) this.credit(memberOf(model, lease.group), 1)
  }

  blocked(session: Session<ModelPayload>, group: string): void {
    const { blocked } = this.modelOf(session)
    must(!blocked.has(group), 'blocked is said once')
    blocked.add(group)
  }

  unblocked(session: Session<ModelPayload>, group: string): void {
    must(this.modelOf(session).blocked.delete(group), 'unblocked is said after blocked')
  }

  released(payload: ModelPayload): void {
    must(!this.releasedIds.has(payload.id), 'a payload is released once')
    this.releasedIds.add(payload.id)
    this.journal.released(payload)
  }

  event(event: BrokerEvent): void {
    if (event.type === 'sessionExpired') {
      const model = this.sessions.get(event.session)
      if (model !== undefined) this.end(model)
    }
    if (event.type === 'objectDropped' && event.kind === 'produce') this.group(event.group).queue.splice(0, event.count)
  }

  private checkBroadcast(model: ModelSession, { payload, group, skipped, leaseNumber }: Delivery<ModelPayload>): void {
    const member = memberOf(model, group)
    const due = member.due.filter((sent) => sent.state !== 'aborted')
    must(due[skipped]?.payload === payload, `${model.id} gets broadcasts of ${group} in order and knows what it missed`)
    must(leaseNumber === -1, 'a broadcast has no lease')
    member.due = due.slice(skipped + 1)
  }

  private checkProduced(model: ModelSession, delivery: Delivery<ModelPayload>): void {
    const { payload, group, attempt, leaseNumber, groupIndex } = delivery
    const { queue } = this.group(group)
    // What a leaving sender had begun is forgotten in the course of its leaving; until then the broker may still deliver it.
    while (queue[0]?.sent.state === 'aborted' && queue[0].sent.payload !== payload) queue.shift()
    const copy = queue.shift()
    must(copy?.sent.payload === payload, `the oldest object of ${group} is delivered first`)
    must(copy?.attempt === attempt, 'its attempts are counted')
    must(
      copy?.sent.route.groups[groupIndex] === group.replace(/\.dead$/, ''),
      'its group is told by its place in the route',
    )
    must(leaseNumber === model.nextLease++, 'leases are counted')
    const member = memberOf(model, group)
    const better = this.membersOf(group).find(
      ({ session, member: other }) =>
        session !== model &&
        session.state === 'attached' &&
        other.credit > 0 &&
        session.session?.backlog.count === 0 &&
        (payload.bytes <= session.room || session.room >= session.inboxBytes) &&
        (other.leases < member.leases || (other.leases === member.leases && other.since < member.since)),
    )
    must(better === undefined, `${better?.session.id} is served before ${model.id} in ${group}`)
    must(member.credit-- > 0, 'only who asked gets something')
    member.leases++
    member.since = ++this.ticks
    if (copy !== undefined) model.leases.set(leaseNumber, { copy, group })
  }

  private enqueue(sent: Sent): void {
    const { route, sender, sequence } = sent
    for (const [index, name] of route.groups.entries()) {
      must(sequence > (sender.lastIn.get(name) ?? -1), `nothing of ${sender.id} for ${name} is overtaken`)
      sender.lastIn.set(name, sequence)
      const group = this.group(name)
      const order = group.nextOrder++
      for (let copy = 0; copy < (route.copies[index] ?? 0); copy++) group.queue.push({ sent, order, attempt: 1 })
    }
  }

  private spread(sent: Sent): void {
    for (const name of sent.route.groups) {
      this.group(name).broadcasts.push(sent)
      for (const { member } of this.membersOf(name)) member.due.push(sent)
    }
  }

  private keepAsLast(sent: Sent): void {
    for (const name of sent.route.groups) {
      const group = this.group(name)
      const isNewer = group.last === undefined || group.last.sequence < sent.sequence
      if (isNewer) group.last = sent
    }
  }

  private forget(sent: Sent): void {
    sent.state = 'aborted'
    for (const name of sent.route.groups) {
      const group = this.group(name)
      group.broadcasts = group.broadcasts.filter((other) => other !== sent)
      for (const { member } of this.membersOf(name)) member.due = member.due.filter((other) => other !== sent)
    }
    for (const group of this.groups.values()) group.queue = group.queue.filter((copy) => copy.sent !== sent)
  }

  private end(model: ModelSession): void {
    model.state = 'ended'
    for (const number of [...model.leases.keys()]) this.giveBack(model, number, true)
    this.sessions.delete(model.id)
    for (const sent of this.sent) {
      const isUnfinished = sent.sender === model && (sent.state === 'offered' || sent.state === 'admitted')
      if (isUnfinished) sent.state = 'aborted'
    }
  }

  /** After a session left: what it had not finished is in no queue. */
  private purge(): void {
    for (const sent of this.sent) if (sent.state === 'aborted') this.forget(sent)
  }

  private giveBack(model: ModelSession, number: number, attemptCounted: boolean): void {
    const lease = this.endLease(model, number)
    if (lease === undefined) return
    const { copy, group: name } = lease
    if (attemptCounted) copy.attempt++
    const isDead = copy.attempt > this.attemptsMax && !name.endsWith('.dead')
    const group = this.group(isDead ? `${name}.dead` : name)
    if (isDead) copy.order = group.nextOrder++
    group.queue.push(copy)
    // Copies of one object share an order: the one that was tried more often is the first.
    group.queue.sort((one, other) => one.order - other.order || other.attempt - one.attempt)
  }

  private endLease(model: ModelSession, number: number): { copy: Copy; group: string } | undefined {
    const lease = model.leases.get(number)
    model.abortedLeases.delete(number)
    model.leases.delete(number)
    if (lease !== undefined) memberOf(model, lease.group).leases--
    return lease
  }

  private credit(member: ModelMember, count: number): void {
    if (member.credit === 0 && count > 0) member.since = ++this.ticks
    member.credit += count
  }

  private membersOf(name: string): { session: ModelSession; member: ModelMember }[] {
    const found: { session: ModelSession; member: ModelMember }[] = []
    for (const session of this.sessions.values()) {
      const member = session.members.get(name)
      if (member !== undefined) found.push({ session, member })
    }
    return found
  }

  private group(name: string): ModelGroup {
    let group = this.groups.get(name)
    if (group === undefined) {
      group = { queue: [], nextOrder: 0, broadcasts: [], last: undefined }
      this.groups.set(name, group)
    }
    return group
  }

  private sentAs(sequence: number): Sent {
    const sent = this.sent[sequence]
    if (sent === undefined) throw new Error(`nothing was sent as ${sequence}`)
    return sent
  }

  private modelOf({ id }: Session<ModelPayload>): ModelSession {
    const model = this.sessions.get(id)
    if (model === undefined) throw new Error(`${id} is over`)
    return model
  }
}

function memberOf(model: ModelSession, group: string): ModelMember {
  const member = model.members.get(group)
  if (member === undefined) throw new Error(`${model.id} is no member of ${group}`)
  return member
}

function sessionOf({ session, id }: ModelSession): Session<ModelPayload> {
  if (session === undefined) throw new Error(`${id} has not joined`)
  return session
}

function ends(numbers: number[]): [from: number, to: number] {
  return [Math.min(...numbers), Math.max(...numbers)]
}

function must(holds: boolean, rule: string): void {
  if (!holds) throw new Error(`It does not hold that ${rule}.`)
}
