import type { OutgoingStream } from './outgoingStream.ts'

/** Large objects whose order matters: their streams, in the order in which they began. */
interface StreamLane {
  readonly name: string
  readonly streams: OutgoingStream[]
}

/**
 * Which large object the next chunk is of. Lanes take turns. Within a lane the first one that may send does: were they to share,
 * each would arrive as late as the last one, and nobody can use a later one before an earlier one. While the first one waits, for its
 * window or for what has not come yet, the next one goes on, so that nothing idles.
 */
export class StreamTurns {
  readonly #lanes = new Map<string, StreamLane>()
  #turns: StreamLane[] = []

  get isEmpty(): boolean {
    return this.#turns.length === 0
  }

  /** Adds a stream, in its place among those of its lane; one that is there already stays where it is. */
  add(stream: OutgoingStream): void {
    let lane = this.#lanes.get(stream.lane)
    if (lane === undefined) {
      lane = { name: stream.lane, streams: [] }
      this.#lanes.set(lane.name, lane)
      this.#turns.push(lane)
    }
    const { streams } = lane
    if (streams.includes(stream)) return
    const later = streams.findIndex(({ order }) => order > stream.order)
    streams.splice(later === -1 ? streams.length : later, 0, stream)
  }

  remove(stream: OutgoingStream): void {
    const lane = this.#lanes.get(stream.lane)
    const index = lane?.streams.indexOf(stream) ?? -1
    if (lane === undefined || index === -1) return
    lane.streams.splice(index, 1)
    if (lane.streams.length > 0) return
    this.#lanes.delete(lane.name)
    this.#turns = this.#turns.filter((other) => other !== lane)
  }

  /** The stream whose turn it is, of those that may send something. */
  next(): OutgoingStream | undefined {
    for (let tried = this.#turns.length; tried > 0; tried--) {
      const lane = this.#turns.shift()
      if (lane === undefined) return undefined
      this.#turns.push(lane)
      const stream = lane.streams.find(({ sendableBytes }) => sendableBytes > 0)
      if (stream !== undefined) return stream
    }
    return undefined
  }
}
