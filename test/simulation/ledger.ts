import { isDeadLetterName } from '../../src/core/groupName.ts'
import type { DeadLetter } from '../../src/deadLetter.ts'
import type { RouteKind } from '../../src/wire/objectHeader.ts'

/** What the ledger knows of one object that a program sent. */
export interface SentObject {
  /** Rises with every object of the simulation; also the time that it is stamped with. */
  readonly id: number
  /** The number of the endpoint that sent it. */
  readonly producer: number
  /** `clear` is no object, but is sent and answered as one. */
  readonly kind: RouteKind
  readonly groups: readonly string[]
  readonly copies: readonly number[]
  readonly bytes: number
  /** What the relay has answered, as the I/O of the sender has read it; or that it was not sent, because a newer one took its place. */
  answer: 'none' | 'accepted' | 'rejected' | 'superseded'
  /** The run of the relay that accepted it. */
  acceptedRun: number
  /** It was sent again in another session, and so may have lost its place among the others. */
  sentAgain: boolean
  /** It was sent again to a relay that was restarted and cannot know whether it had accepted it. */
  mayBeDouble: boolean
  /** Whether the promise of its call is settled. */
  settled: boolean
}

/** What became of an object in one group. */
interface Fate {
  /** Endpoints that it arrived at, whole. */
  readonly arrivedAt: Set<number>
  /** How often programs took it, by attempt. */
  readonly takes: Map<number, number>
  acknowledged: number
  /** How often it arrived where all but the newest objects are discarded, which counts as taken. */
  discardable: number
  /** How often it may have gone back without an attempt counted: a program gave it back, or was not known to have seen it when it vanished. */
  givenBack: number
  /** By endpoint: how often its program took it, as long as the relay has its session. */
  readonly takers: Map<number, number>
  /** Endpoints whose programs work on it, and whose leases nobody has taken from them. */
  readonly holders: Set<number>
  /** By attempt: where and when a handler failed, as long as the relay has that session. */
  readonly failures: Map<number, { readonly endpoint: number; readonly atMs: number }>
}

/** What a relay is to do with what failed. */
export interface RetryRule {
  readonly retryDelayMs: number
  readonly retryDelayMaxMs: number
  readonly attemptsMax: number
}

/** A promise of the library was broken. */
export class BrokenPromise extends Error {}

/** The books of a simulation: who sent what, what became of it, and whether that is as promised. */
export class Ledger {
  readonly objects: Map<number, SentObject> = new Map()
  /** The first thing that went wrong. */
  problem: BrokenPromise | undefined
  readonly #fates = new Map<string, Fate>()
  /** Those that somebody took whose session the relay has. */
  readonly #open = new Set<Fate>()
  /** Copies that the relay of the present run dropped by a stated policy, by group. */
  readonly #dropped = new Map<string, number>()
  /** By group: objects before this one may have been given back by an endpoint that said goodbye or vanished, before they arrived. */
  readonly #givenBackBefore = new Map<string, number>()
  readonly #leaving = new Map<string, number>()
  /** Objects before this one may have been given back because the relay was started again. */
  #restartedBefore = 0
  #nextId = 1
  /** Endpoints whose programs are in a session that the relay has, as far as they know. */
  readonly #inSession = new Set<number>()
  /** What follows what, of the beginnings and ends of sessions. */
  #order = 1
  /** By endpoint: when the sessions began that its program has not heard of yet. */
  readonly #sessionsBegan = new Map<number, number[]>()
  readonly #sessionsOver = new Map<number, number>()
  #allSessionsOver = 0
  readonly #groups = new Map<number, readonly string[]>()
  /** By endpoint: what its program works on, or has worked on. */
  readonly #held = new Map<number, Set<Fate>>()
  /** Endpoints that may still have what was taken from them. */
  readonly #revoked = new Set<number>()
  readonly #rule: RetryRule
  readonly #nowMs: () => number

  constructor(rule: RetryRule, nowMs: () => number) {
    this.#rule = rule
    this.#nowMs = nowMs
  }

  /** An object is about to be sent. */
  sending(object: Pick<SentObject, 'producer' | 'kind' | 'groups' | 'copies' | 'bytes'>): SentObject {
    const sent: SentObject = {
      ...object,
      id: this.#nextId++,
      answer: 'none',
      acceptedRun: 0,
      sentAgain: false,
      mayBeDouble: false,
      settled: false,
    }
    this.objects.set(sent.id, sent)
    return sent
  }

  /** The call failed at once: the object never was. */
  forget({ id }: SentObject): void {
    this.objects.delete(id)
  }

  break(what: string): void {
    this.problem ??= new BrokenPromise(what)
  }

  /** The object with that number, which must be one that was sent. */
  find(id: number, where: string): SentObject | undefined {
    const object = this.objects.get(id)
    if (object === undefined) this.break(`${where}: an object ${id} that nobody sent`)
    return object
  }

  /** An object has arrived at an endpoint. Returns whether it had arrived anywhere before. */
  arrived(object: SentObject, group: string, endpoint: number): boolean {
    const { arrivedAt } = this.#fate(object.id, group)
    const before = arrivedAt.size > 0
    arrivedAt.add(endpoint)
    return before
  }

  /** A program took a produced object. */
  taken(object: SentObject, group: string, attempt: number, endpoint: number): void {
    const { id, answer, mayBeDouble } = object
    const fate = this.#fate(id, group)
    const takes = (fate.takes.get(attempt) ?? 0) + 1
    fate.takes.set(attempt, takes)
    this.#open.add(fate)
    // It may be somebody else's already.
    if (this.#inSession.has(endpoint)) fate.takers.set(endpoint, (fate.takers.get(endpoint) ?? 0) + 1)
    else fate.givenBack++
    if (mayBeDouble) return
    if (answer === 'rejected' || answer === 'superseded')
      this.break(`e${endpoint} got object ${id}, which was ${answer}`)
    for (const holder of fate.holders) {
      // One that is not in a session any more may take what it does not know to be another's.
      const isKnown = this.#inSession.has(holder) && this.#inSession.has(endpoint)
      if (holder === endpoint || !isKnown || copiesFor(object, group) > 1) continue
      this.break(`e${endpoint} took object ${id} of ${group} while the program of e${holder} works on it`)
    }
    // A dead letter that was tried in vain as often as it may rests, and begins anew for the next reader.
    if (isDeadLetterName(group) && fate.takes.has(this.#rule.attemptsMax)) return
    const allowed = copiesFor(object, group) + fate.givenBack
    if (takes > allowed) {
      this.break(
        `e${endpoint} took object ${id} of ${group} in attempt ${attempt}; ${takes} times that was done, ${allowed} are possible`,
      )
    }
  }

  /** It comes in an attempt: all before were seen by a program, and what failed has waited as long as it should. */
  checkAttempt(object: SentObject, group: string, attempt: number, endpoint: number): void {
    const fate = this.#fate(object.id, group)
    const { retryDelayMs, retryDelayMaxMs, attemptsMax } = this.#rule
    const where = `e${endpoint} got object ${object.id} of ${group} in attempt ${attempt}`
    if (attempt > attemptsMax) this.break(`${where}, of which there are ${attemptsMax}`)
    if (attempt === 1 || object.mayBeDouble) return
    if (!fate.takes.has(attempt - 1) && fate.discardable === 0) this.break(`${where}, though nobody had seen it before`)
    const failure = fate.failures.get(attempt - 1)
    const delayMs = Math.min(retryDelayMs * 2 ** (attempt - 2), retryDelayMaxMs)
    // Another copy may have failed earlier.
    if (failure === undefined || copiesFor(object, group) > 1 || fate.takes.get(attempt - 1) !== 1) return
    const waitedMs = this.#nowMs() - failure.atMs
    if (waitedMs < delayMs) this.break(`${where} after ${waitedMs} ms, but it was to wait ${delayMs} ms`)
  }

  /** A dead letter says how it died. */
  checkDeath({ id, mayBeDouble }: SentObject, group: string, { attempts, reason, name }: DeadLetter): void {
    if (mayBeDouble) return
    const { takes, discardable } = this.#fate(id, group)
    const where = `object ${id} of ${group} died in attempt ${attempts} at ${name}: ${reason}`
    if (attempts !== this.#rule.attemptsMax) this.break(`${where}, of ${this.#rule.attemptsMax}`)
    if (!takes.has(attempts) && discardable === 0) this.break(`${where}, which nobody had seen`)
    if (['violation', 'undecodable', 'schema', 'tooLarge'].includes(reason)) this.break(where)
  }

  /** A handler fails on what it took. */
  failed({ id }: SentObject, group: string, attempt: number, endpoint: number): void {
    if (this.#inSession.has(endpoint)) this.#fate(id, group).failures.set(attempt, { endpoint, atMs: this.#nowMs() })
  }

  /** An endpoint is to be a member of these groups. */
  joins(endpoint: number, groups: readonly string[]): void {
    this.#groups.set(endpoint, groups)
  }

  /** The I/O of an endpoint knows that a session has begun, and will tell its program. */
  sessionBegan(endpoint: number): void {
    const began = this.#sessionsBegan.get(endpoint) ?? []
    began.push(this.#order++)
    this.#sessionsBegan.set(endpoint, began)
  }

  /** The program of an endpoint knows that a session has begun; which may be over already. */
  inSession(endpoint: number): void {
    this.mayLose(endpoint)
    const began = this.#sessionsBegan.get(endpoint)?.shift() ?? 0
    const isOver = began < Math.max(this.#sessionsOver.get(endpoint) ?? 0, this.#allSessionsOver)
    if (!isOver && !this.#revoked.has(endpoint)) this.#inSession.add(endpoint)
  }

  /** The relay takes back what an endpoint has that goes on with its session, and does not know. */
  revoked(endpoint: number): void {
    this.takenBack(endpoint)
    this.#revoked.add(endpoint)
  }

  /** The relay takes back what an endpoint has, or all have: it may not know what their programs have seen. */
  takenBack(endpoint: number | 'all'): void {
    if (endpoint === 'all') {
      this.#inSession.clear()
      this.#allSessionsOver = this.#order++
    } else {
      this.#inSession.delete(endpoint)
      this.#sessionsOver.set(endpoint, this.#order++)
    }
    // What was on its way to it goes to others, in its first attempt.
    if (endpoint !== 'all')
      for (const group of this.#groups.get(endpoint) ?? []) this.#givenBackBefore.set(group, this.#nextId)
    for (const fate of this.#open) {
      const { takers, failures } = fate
      for (const [taker, takes] of takers) {
        if (endpoint !== 'all' && taker !== endpoint) continue
        fate.givenBack += takes
        takers.delete(taker)
      }
      for (const [attempt, failure] of failures) {
        if (endpoint === 'all' || failure.endpoint === endpoint) failures.delete(attempt)
      }
      if (takers.size + failures.size === 0) this.#open.delete(fate)
    }
  }

  /** The program of an endpoint works on what it took, until it has settled it. */
  worksOn({ id }: SentObject, group: string, endpoint: number): void {
    if (!this.#inSession.has(endpoint)) return
    const fate = this.#fate(id, group)
    fate.holders.add(endpoint)
    const all = this.#held.get(endpoint) ?? new Set()
    all.add(fate)
    this.#held.set(endpoint, all)
  }

  isDoneWith({ id }: SentObject, group: string, endpoint: number): void {
    this.#fate(id, group).holders.delete(endpoint)
  }

  /** What an endpoint had may be others' from now on: it is in another session, or stops. */
  mayLose(endpoint: number): void {
    for (const { holders } of this.#held.get(endpoint) ?? []) holders.delete(endpoint)
    this.#held.delete(endpoint)
  }

  /** It is where its program may discard it without a look. */
  discardable({ id }: SentObject, group: string): void {
    this.#fate(id, group).discardable++
  }

  acknowledged({ id }: SentObject, group: string): void {
    this.#fate(id, group).acknowledged++
  }

  givenBack({ id }: SentObject, group: string): void {
    this.#fate(id, group).givenBack++
  }

  /** A member begins to leave these groups: what is on its way to it goes back. */
  leaving(groups: readonly string[]): void {
    for (const group of groups) this.#leaving.set(group, (this.#leaving.get(group) ?? 0) + 1)
  }

  /** It has left them for good. */
  left(groups: readonly string[]): void {
    for (const group of groups) {
      this.#leaving.set(group, (this.#leaving.get(group) ?? 0) - 1)
      this.#givenBackBefore.set(group, this.#nextId)
    }
  }

  /** Whether an object that arrives in its first attempt may come behind later ones, since it may have been given back. */
  mayHaveGoneBack({ id }: SentObject, group: string): boolean {
    if (id < this.#restartedBefore) return true
    return (this.#leaving.get(group) ?? 0) > 0 || id < (this.#givenBackBefore.get(group) ?? 0)
  }

  dropped(group: string, count: number): void {
    this.#dropped.set(group, (this.#dropped.get(group) ?? 0) + count)
  }

  /** Everything that the relay keeps is gone, unless it remembers. */
  relayRestarted(remembers: boolean): void {
    this.takenBack('all')
    if (remembers) this.#restartedBefore = this.#nextId
    else this.#dropped.clear()
  }

  /** At the end, when nothing waits any more: what was accepted by the run `run` of the relay, or any, must have been taken. */
  checkNothingLost(run: number | 'any'): void {
    const missing = new Map<string, { copies: number; ids: number[] }>()
    for (const object of this.objects.values()) {
      if (object.kind !== 'produce' || object.answer !== 'accepted') continue
      if (run !== 'any' && object.acceptedRun !== run) continue
      for (const [index, group] of object.groups.entries()) {
        const taken = this.#taken(object.id, group) + this.#taken(object.id, `${group}.dead`)
        const lost = (object.copies[index] ?? 0) - taken
        if (lost <= 0) continue
        const entry = missing.get(group) ?? { copies: 0, ids: [] }
        entry.copies += lost
        entry.ids.push(object.id)
        missing.set(group, entry)
      }
    }
    for (const [group, { copies, ids }] of missing) {
      const dropped = (this.#dropped.get(group) ?? 0) + (this.#dropped.get(`${group}.dead`) ?? 0)
      if (copies > dropped) {
        this.break(
          `${copies} accepted copies in ${group} were lost and ${dropped} were dropped: ${ids.slice(0, 20).join(', ')}`,
        )
      }
    }
  }

  #taken(id: number, group: string): number {
    const { acknowledged, discardable } = this.#fate(id, group)
    return acknowledged + discardable
  }

  /** At the end: every call that sent has been answered. */
  checkAllSettled(isAlive: (endpoint: number) => boolean): void {
    for (const { id, producer, settled } of this.objects.values()) {
      if (!settled && isAlive(producer)) this.break(`the promise of object ${id} of e${producer} was never settled`)
    }
  }

  #fate(id: number, group: string): Fate {
    const key = `${id} ${group}`
    let fate = this.#fates.get(key)
    if (fate === undefined) {
      fate = {
        arrivedAt: new Set(),
        takes: new Map(),
        acknowledged: 0,
        discardable: 0,
        givenBack: 0,
        takers: new Map(),
        holders: new Set(),
        failures: new Map(),
      }
      this.#fates.set(key, fate)
    }
    return fate
  }
}

function copiesFor({ groups, copies }: SentObject, group: string): number {
  const index = groups.indexOf(group.replace(/\.dead$/, ''))
  return copies[index] ?? 0
}
