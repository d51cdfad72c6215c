import { createError } from '../../errors.ts'
import { describeValue, isRecord } from '../../options.ts'
import { encodeNotify } from '../../wire/controlFrames.ts'
import { checkCounts, checkGroups, invalidDestination } from './destinations.ts'
import type { IoChannel } from './ioChannel.ts'
import type { EndpointStatus } from './status.ts'

const DRAIN = -1

/** Asks the relay for produced objects. It remembers what is asked, and the I/O asks again when it has forgotten. */
export class CreditRequester {
  readonly #channel: IoChannel
  readonly #status: EndpointStatus
  readonly #groups: ReadonlySet<string>
  /** Where all that waits was asked for last, and no number of objects is owed. */
  readonly #drained = new Set<string>()

  constructor(channel: IoChannel, status: EndpointStatus, groups: readonly string[]) {
    this.#channel = channel
    this.#status = status
    this.#groups = new Set(groups)
  }

  /** A call of `notify`. Throws `INVALID_ARGUMENT` and `NOT_A_MEMBER` before anything is asked. */
  notify(request: unknown): void {
    const obstacle = this.#status.receivingObstacle
    if (obstacle !== undefined) throw obstacle
    const counts = isRecord(request) ? checkAskedCounts(request) : checkGroups(request, 'request').map(one)
    for (const [group] of counts) this.checkMember(group)
    for (const [group, count] of counts) {
      if (count === DRAIN) this.#drained.add(group)
      else this.#drained.delete(group)
      this.request(group, count)
    }
  }

  /** Asks for objects of a group that was checked. */
  request(group: string, count: number): void {
    this.#channel.write(encodeNotify(group, count))
  }

  /** Asks for one object in the place of one that came and was of no use. */
  requestInstead(group: string): void {
    if (!this.#status.receivingClosed && !this.#drained.has(group)) this.request(group, 1)
  }

  checkMember(group: string): void {
    if (this.#groups.has(group)) return
    const own = [...this.#groups].map(describeValue).join(', ')
    throw createError(
      'NOT_A_MEMBER',
      `The endpoint is not a member of the group ${describeValue(group)}, so that it cannot ask for its objects. ${
        own === '' ? 'It is a member of none: give the option groups.' : `It is a member of: ${own}.`
      }`,
      { details: { group } },
    )
  }
}

function one(group: string): readonly [string, number] {
  return [group, 1]
}

function checkAskedCounts(request: Readonly<Record<string, unknown>>): readonly (readonly [string, number])[] {
  const counts = checkCounts(request, 'request')
  for (const [group, count] of counts) {
    if (count !== 0) continue
    throw invalidDestination(
      'request',
      `asks for 0 objects of ${describeValue(group)}; ask for 1 or more, or ${DRAIN} for all that wait`,
    )
  }
  return counts
}
