import { createError, type ObjectRelayError, toObjectRelayError } from '../../errors.ts'
import { BodyAssembler } from '../../objects/bodyAssembler.ts'

/** A large object that arrives at an endpoint, chunk by chunk. */
export class IncomingStream {
  state: 'arriving' | 'whole' = 'arriving'
  /** The STREAM_BEGIN. */
  readonly begin: Buffer
  readonly context: Buffer | undefined
  readonly leaseNumber: number
  readonly bodyBytes: number
  /** Why the object cannot be put together here, if so. What still comes of it is passed over: that it is bad, or too large for this machine, is no fault of the relay. */
  fault: ObjectRelayError | undefined
  readonly #windowStepBytes: number
  #windowLimit: number
  #receivedBytes = 0
  #assembler: BodyAssembler | undefined

  constructor(options: {
    begin: Buffer
    context: Buffer | undefined
    leaseNumber: number
    bodyBytes: number
    objectBytesMax: number
    bulkWindowBytes: number
  }) {
    const { bodyBytes, objectBytesMax } = options
    this.begin = options.begin
    this.context = options.context
    this.leaseNumber = options.leaseNumber
    this.bodyBytes = bodyBytes
    this.#windowStepBytes = options.bulkWindowBytes
    this.#windowLimit = options.bulkWindowBytes
    if (bodyBytes <= objectBytesMax) this.#assembler = new BodyAssembler(bodyBytes, { objectBytesMax })
    else {
      this.fault = createError(
        'OBJECT_TOO_LARGE',
        `An object of ${bodyBytes} bytes was delivered, but this endpoint's objectBytesMax is ${objectBytesMax}. Raise it, or send parts.`,
        { details: { byteLength: bodyBytes, objectBytesMax } },
      )
    }
  }

  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** Takes what belongs at `offset`; what came already may come again. Throws `PROTOCOL_VIOLATION` for a gap, or what goes beyond the object or its window. */
  writeAt(offset: number, part: Buffer): void {
    const end = offset + part.length
    if (!(offset <= this.#receivedBytes && end <= this.bodyBytes && end <= this.#windowLimit)) {
      throw createError(
        'PROTOCOL_VIOLATION',
        'The relay sent a part of a large object that does not follow the one before, or for which there is no room.',
      )
    }
    try {
      this.#assembler?.writeAt(offset, part)
    } catch (thrown) {
      this.#giveUp(thrown)
    }
    this.#receivedBytes = Math.max(this.#receivedBytes, end)
    if (this.#receivedBytes === this.bodyBytes) this.state = 'whole'
  }

  #giveUp(thrown: unknown): void {
    this.#assembler = undefined
    this.fault = toObjectRelayError(thrown, 'NOT_DESERIALIZABLE')
  }

  /** How far the relay may send now, if it should be told. */
  nextWindow(): number | undefined {
    const left = this.#windowLimit - this.#receivedBytes
    if (this.#windowLimit >= this.bodyBytes || left > this.#windowStepBytes / 2) return undefined
    this.#windowLimit = this.#receivedBytes + this.#windowStepBytes
    return this.#windowLimit
  }

  /** Head and segments of the whole object; of one that is bad nothing, which no reader takes for an object. */
  parts(): ArrayBuffer[] {
    if (this.#assembler === undefined) return [new ArrayBuffer(0)]
    const { head, segments } = this.#assembler.finish()
    return [head.buffer.slice(head.byteOffset, head.byteOffset + head.byteLength), ...segments]
  }
}
