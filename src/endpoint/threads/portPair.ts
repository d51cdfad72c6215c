import { fixedLimits } from '../../limits.ts'
import { objectRuns } from '../records.ts'
import { type Bell, type RecordHandler, RecordPort } from './recordPort.ts'
import { createRingMemory, RingReader, RingWriter } from './ring.ts'

/** The bell within one thread: the other side runs as soon as the running code returns. */
class InlineBell implements Bell {
  onRing: () => void = () => undefined
  peer: InlineBell | undefined
  readonly #attachments = new Map<number, readonly ArrayBuffer[]>()
  #rung = false

  ring(): void {
    const { peer } = this
    if (peer === undefined || peer.#rung) return
    peer.#rung = true
    queueMicrotask(() => {
      peer.#rung = false
      peer.onRing()
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
class ProgramBell extends InlineBell {
  ringNow(): void {
    this.peer?.onRing()
  }
}

/** Two connected ports on the same thread: for `io: 'inline'`, and for tests. */
export function createPortPair(program: RecordHandler, io: RecordHandler): { program: RecordPort; io: RecordPort } {
  const up = createRingMemory(fixedLimits.inlineRingBytes, false)
  const down = createRingMemory(fixedLimits.inlineRingBytes, false)
  const programBell = new ProgramBell()
  const ioBell = new InlineBell()
  programBell.peer = ioBell
  ioBell.peer = programBell
  return {
    program: new RecordPort(new RingWriter(up), new RingReader(down, objectRuns), programBell, program),
    io: new RecordPort(new RingWriter(down), new RingReader(up, objectRuns), ioBell, io),
  }
}
