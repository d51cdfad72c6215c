import { fixedLimits } from '../../limits.ts'
import { objectRuns } from '../records.ts'
import { type RecordHandler, RecordPort } from './recordPort.ts'
import { createRingMemory, RingReader, RingWriter } from './ring.ts'
import type { Waker } from './waker.ts'

/** Within one thread: the other side runs as soon as the running code returns. */
class InlineWaker implements Waker {
  onWake: () => void = () => undefined
  peer: InlineWaker | undefined
  readonly #attachments = new Map<number, readonly ArrayBuffer[]>()
  #isWaking = false

  wake(): void {
    const { peer } = this
    if (peer === undefined || peer.#isWaking) return
    peer.#isWaking = true
    queueMicrotask(() => {
      peer.#isWaking = false
      peer.onWake()
    })
  }

  sendAttachment(id: number, buffers: readonly ArrayBuffer[]): void {
    const { peer } = this
    if (peer !== undefined) peer.#attachments.set(id, buffers)
  }

  takeAttachment(id: number): readonly ArrayBuffer[] {
    const buffers = this.#attachments.get(id) ?? []
    this.#attachments.delete(id)
    return buffers
  }
}

/**
 * The program's end of it. The I/O may run in the middle of a call of the program, since it never calls what is the program's;
 * but not the program in the middle of the I/O.
 */
class ProgramWaker extends InlineWaker {
  wakeNow(): void {
    this.peer?.onWake()
  }
}

/** Two connected ports on the same thread: for `io: 'inline'`, and for tests. */
export function createPortPair(program: RecordHandler, io: RecordHandler): { program: RecordPort; io: RecordPort } {
  const up = createRingMemory(fixedLimits.inlineRingBytes, false)
  const down = createRingMemory(fixedLimits.inlineRingBytes, false)
  const programWaker = new ProgramWaker()
  const ioWaker = new InlineWaker()
  programWaker.peer = ioWaker
  ioWaker.peer = programWaker
  return {
    program: new RecordPort(new RingWriter(up), new RingReader(down, objectRuns), programWaker, program),
    io: new RecordPort(new RingWriter(down), new RingReader(up, objectRuns), ioWaker, io),
  }
}
