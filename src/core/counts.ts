/** What happened in a group since it is known; copies counted. */
export interface GroupCounts {
  readonly accepted: number
  readonly delivered: number
  readonly acknowledged: number
  readonly dropped: number
  readonly dead: number
}

/** What happened in the whole relay; copies counted. */
export interface BrokerCounts extends GroupCounts {
  readonly rejected: number
  readonly released: number
  readonly expired: number
}

/** Counts what happens. What a group counts, the relay counts too. */
export class Counts {
  private accepted = 0
  private delivered = 0
  private acknowledged = 0
  private dropped = 0
  private dead = 0
  private rejected = 0
  private released = 0
  private expired = 0
  private readonly relay: Counts | undefined

  /** Those of a group: `relay` has those of all. */
  constructor(relay?: Counts) {
    this.relay = relay
  }

  addAccepted(objects: number): void {
    this.accepted += objects
    if (this.relay !== undefined) this.relay.accepted += objects
  }

  addDelivered(objects: number): void {
    this.delivered += objects
    if (this.relay !== undefined) this.relay.delivered += objects
  }

  addAcknowledged(objects: number): void {
    this.acknowledged += objects
    if (this.relay !== undefined) this.relay.acknowledged += objects
  }

  addDropped(objects: number): void {
    this.dropped += objects
    if (this.relay !== undefined) this.relay.dropped += objects
  }

  addDead(): void {
    this.dead++
    if (this.relay !== undefined) this.relay.dead++
  }

  addRejected(): void {
    this.rejected++
  }

  addReleased(): void {
    this.released++
  }

  addExpired(): void {
    this.expired++
  }

  ofGroup(): GroupCounts {
    const { accepted, delivered, acknowledged, dropped, dead } = this
    return { accepted, delivered, acknowledged, dropped, dead }
  }

  ofRelay(): BrokerCounts {
    const { rejected, released, expired } = this
    return { ...this.ofGroup(), rejected, released, expired }
  }
}
