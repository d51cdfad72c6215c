import type { Payload } from './contract.ts'
import { Line } from './line.ts'
import type { Membership } from './membership.ts'
import type { Parcel } from './parcel.ts'

/** A broadcast that waits until its member has room. */
export interface BacklogEntry<P extends Payload> {
  readonly member: Membership<P>
  parcel: Parcel<P>
  order: number
  groupIndex: number
  gone: boolean
}

/** The broadcasts that wait for one session, of all its groups, the oldest first. */
export class Backlog<P extends Payload> {
  bytes = 0
  private readonly entries: Line<BacklogEntry<P>> = new Line((entry) => entry.gone)

  get count(): number {
    return this.entries.length
  }

  first(): BacklogEntry<P> | undefined {
    return this.entries.first()
  }

  push(entry: BacklogEntry<P>): void {
    this.entries.push(entry)
    this.bytes += entry.parcel.payload.bytes
  }

  remove(entry: BacklogEntry<P>): void {
    entry.gone = true
    this.bytes -= entry.parcel.payload.bytes
    this.entries.left()
  }

  /** Another broadcast takes the place of one. */
  replace(entry: BacklogEntry<P>, parcel: Parcel<P>, order: number, groupIndex: number): void {
    this.bytes += parcel.payload.bytes - entry.parcel.payload.bytes
    entry.parcel = parcel
    entry.order = order
    entry.groupIndex = groupIndex
  }

  /** The oldest but `entry`. */
  oldestExcept(entry: BacklogEntry<P>): BacklogEntry<P> | undefined {
    const first = this.entries.first()
    if (first !== entry) return first
    for (const other of this.entries) if (other !== entry) return other
    return undefined
  }

  [Symbol.iterator](): Generator<BacklogEntry<P>, void, undefined> {
    return this.entries[Symbol.iterator]()
  }
}
