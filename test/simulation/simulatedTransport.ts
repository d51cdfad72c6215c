import type { ChannelBinding } from '../../src/security/channelProof.ts'
import type { Transport } from '../../src/transport/transport.ts'
import type { Scheduler, SimulatedThread } from './scheduler.ts'

/** What a connection is like. */
export interface Conditions {
  readonly latencyMs: number
  readonly jitterMs: number
  readonly bytesPerMs: number
  /** So much the operating systems hold for one direction. */
  readonly bufferBytes: number
  /** Whether what is written arrives in many small pieces. */
  readonly smallPieces: boolean
  frozenUntilMs: number
}

/** As `node:net` does it: who wrote at least this much at once is told when it is gone. */
const DRAIN_BYTES = 16 * 1024

/** One end of a simulated connection; behaves as a socket does. */
export class SimulatedTransport implements Transport {
  readonly peer: string
  readonly peerAddress: string
  readonly channelBinding: ChannelBinding
  readonly conditions: Conditions
  onData: (bytes: Buffer) => void = () => undefined
  onDrain: () => void = () => undefined
  onClose: (error: Error | undefined) => void = () => undefined
  /** Bytes that the operating system has not taken. */
  pendingBytes = 0
  /** Whether the owner has been told that it is closed. */
  closed = false
  /** Whether what it reads lies in memory that the next bytes will lie in too: nobody may keep a view of it. */
  readonly #scheduler: Scheduler
  readonly #thread: SimulatedThread
  #other: SimulatedTransport | undefined
  #pending: Buffer[] = []
  /** What the network holds of this end's bytes. */
  #underWay: Buffer[] = []
  #underWayBytes = 0
  #deliveryPlanned = false
  #needsDrain = false
  #paused = false
  #lost = false
  #state: 'open' | 'ending' | 'ended' | 'destroyed' = 'open'
  #otherEnded = false
  /** Whether everything was read that the other side wrote before it ended the connection. */
  heardTheEnd = false
  /** When its owner ended it. */
  endedAtMs: number | undefined

  constructor(
    peer: string,
    options: {
      thread: SimulatedThread
      scheduler: Scheduler
      conditions: Conditions
      channelBinding: ChannelBinding
    },
  ) {
    this.peer = peer
    this.peerAddress = peer
    this.channelBinding = options.channelBinding
    this.conditions = options.conditions
    this.#thread = options.thread
    this.#scheduler = options.scheduler
  }

  join(other: SimulatedTransport): void {
    this.#other = other
  }

  /** Whether nothing more will come of this end. */
  get gone(): boolean {
    return this.closed || !this.#thread.alive
  }

  write(bytes: Buffer): void {
    if (this.#state !== 'open' || bytes.length === 0) return
    this.#pending.push(bytes)
    this.pendingBytes += bytes.length
    if (this.pendingBytes >= DRAIN_BYTES) this.#needsDrain = true
    this.#handOver()
  }

  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'ending'
    this.endedAtMs = this.#scheduler.nowMs
    this.#handOver()
  }

  destroy(): void {
    if (this.#state === 'destroyed') return
    const tellsOther = !this.#lost
    this.#close(undefined, 0)
    const { latencyMs } = this.conditions
    if (tellsOther) this.#other?.break(latencyMs)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#other?.planDelivery()
  }

  /** What this end sent and sends is lost, and nobody is told. */
  loseAll(): void {
    this.#lost = true
    this.#underWay = []
  }

  #read(piece: Buffer): void {
    const memory = Buffer.from(piece)
    this.onData(memory)
    memory.fill(0xee)
  }

  /** The owner is told after a while that the connection broke. */
  break(delayMs: number): void {
    this.#thread.after(delayMs, () => this.#close(new Error('read ECONNRESET'), 0), 'the news of a broken connection')
  }

  #close(error: Error | undefined, delayMs: number): void {
    if (this.#state === 'destroyed') return
    this.#state = 'destroyed'
    this.#pending = []
    this.#underWay = []
    this.pendingBytes = 0
    this.#thread.after(
      delayMs,
      () => {
        this.closed = true
        this.onClose(error)
      },
      'the close of a connection',
    )
  }

  /** The operating system takes what it has room for. */
  #handOver(): void {
    for (let bytes = this.#pending[0]; bytes !== undefined; bytes = this.#pending[0]) {
      if (this.#underWayBytes >= this.conditions.bufferBytes) break
      this.#pending.shift()
      this.pendingBytes -= bytes.length
      this.#underWayBytes += bytes.length
      // From now on the owner may do with its memory what it likes.
      if (!this.#lost) this.#underWay.push(Buffer.from(bytes))
    }
    this.planDelivery()
    if (this.#needsDrain && this.pendingBytes === 0) {
      this.#needsDrain = false
      this.#thread.after(0, () => {
        if (this.#state === 'open') this.onDrain()
      })
    }
  }

  /** Sees to it that what is under way arrives at some time. */
  planDelivery(transferMs?: number): void {
    if (this.#deliveryPlanned || this.#lost) return
    if (this.#underWay.length === 0 && this.#state !== 'ending') return
    const other = this.#other
    if (other === undefined) return
    const { latencyMs, jitterMs, frozenUntilMs } = this.conditions
    const { nowMs, random } = this.#scheduler
    this.#deliveryPlanned = true
    // What follows at once has been on its way as long as what came before.
    const delayMs = Math.max(transferMs ?? latencyMs + jitterMs * random.next(), frozenUntilMs - nowMs)
    other.#thread.after(delayMs, () => this.#deliver(other), 'bytes')
  }

  #deliver(other: SimulatedTransport): void {
    this.#deliveryPlanned = false
    if (this.#lost || this.#state === 'destroyed' || other.#state === 'destroyed' || other.#paused) return
    if (this.conditions.frozenUntilMs > this.#scheduler.nowMs) {
      this.planDelivery()
      return
    }
    const piece = this.#takePiece()
    if (piece !== undefined) {
      this.#underWayBytes -= piece.length
      this.#thread.after(0, () => this.#handOver(), 'room in a connection')
      const { bytesPerMs } = this.conditions
      this.planDelivery(piece.length / bytesPerMs)
      other.#read(piece)
      return
    }
    if (this.#state !== 'ending' || this.#pending.length > 0) return
    this.#state = 'ended'
    other.#otherEnds()
  }

  #takePiece(): Buffer | undefined {
    if (this.#underWay.length === 0) return undefined
    const { random } = this.#scheduler
    const bytesMax = this.conditions.smallPieces && random.chance(0.3) ? random.integer(1, 200) : 64 * 1024
    const all = this.#underWay.length === 1 ? this.#underWay[0] : Buffer.concat(this.#underWay)
    if (all === undefined) return undefined
    const piece = Buffer.from(all.subarray(0, bytesMax))
    this.#underWay = piece.length < all.length ? [all.subarray(piece.length)] : []
    return piece
  }

  /** The other side has ended: this side does so too, and with that it is over for both. */
  #otherEnds(): void {
    this.#otherEnded = true
    if (this.#state === 'open') {
      this.heardTheEnd = true
      this.end()
    }
    this.#closeWhenEnded(this.#other)
  }

  #closeWhenEnded(other: SimulatedTransport | undefined): void {
    if (this.#state === 'ended' && this.#otherEnded) {
      this.#close(undefined, 0)
      if (other !== undefined) other.#close(undefined, this.conditions.latencyMs)
    }
  }
}
