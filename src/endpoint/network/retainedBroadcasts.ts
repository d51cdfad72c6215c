import { readUint32 } from '../../wire/integers.ts'
import { readSequence } from '../../wire/objectHeader.ts'

interface Identity {
  source: number
  sequence: number
  /** The session that it came in. */
  session: number
}

const SOURCE_AT = 8

/**
 * The retained broadcast of each group that the program was given last. Who joins a group gets its retained broadcast, so an
 * endpoint that joins anew, as after a restart of the relay, would get it twice.
 */
export class RetainedBroadcasts {
  readonly #byGroup = new Map<string, Identity>()
  /** Most often the next one is for the same group. */
  #group: string | undefined
  #session = 0
  #identity: Identity | undefined

  /** A session begins; with another relay, whose numbers mean something else, nothing repeats. */
  begin(sameRelay: boolean): void {
    this.#session++
    if (sameRelay) return
    this.#byGroup.clear()
    this.#group = undefined
    this.#identity = undefined
  }

  /** Remembers the broadcast whose frame begins at `start`; returns whether a session begins with the one that ended the session before. */
  repeats(group: string, frame: Buffer, start: number): boolean {
    const source = readUint32(frame, start + SOURCE_AT)
    const sequence = readSequence(frame, start)
    const identity = group === this.#group ? this.#identity : this.#find(group)
    if (identity === undefined) {
      this.#group = group
      this.#identity = { source, sequence, session: this.#session }
      this.#byGroup.set(group, this.#identity)
      return false
    }
    const repeats = identity.session !== this.#session && identity.source === source && identity.sequence === sequence
    identity.source = source
    identity.sequence = sequence
    identity.session = this.#session
    return repeats
  }

  #find(group: string): Identity | undefined {
    this.#group = group
    this.#identity = this.#byGroup.get(group)
    return this.#identity
  }
}
