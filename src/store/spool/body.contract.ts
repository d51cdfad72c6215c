import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LargeReader } from '../store.ts'
import type { BodyFile, BodyFiles } from './bodyFiles.ts'

const KiB = 1024

/** Somewhere to put bodies, and how to end it. */
export interface FilesUnderTest {
  readonly files: BodyFiles
  end(): Promise<void>
}

/** What every implementation of {@link BodyFiles} must do. */
export function describeBodyFiles(name: string, open: () => Promise<FilesUnderTest>): void {
  describe(name, () => {
    let tested: FilesUnderTest
    beforeEach(async () => {
      tested = await open()
    })
    afterEach(() => tested.end())

    it('gives back what was written, wherever its parts began', async () => {
      const file = await tested.files.create('1')
      const body = bodyOf(1, 3 * 1024 * KiB + 777)
      await writeInSteps(file, body, [1, 70_000, 300_000, 16_384, 1_048_576])
      for (const [start, end] of [
        [0, 10],
        [1_000_000, 1_100_000],
        [0, body.length],
        [body.length - 1, body.length],
      ] as const) {
        const into = Buffer.alloc(end - start)
        await file.read(start, into)
        expect(into.equals(body.subarray(start, end)), `${start} to ${end}`).toBe(true)
      }
      await file.sync()
      await file.close()
    })

    it('keeps bodies that are written at the same time apart', async () => {
      const bodies = [1, 2, 3].map((number) => bodyOf(number, 1_500 * KiB + number))
      const files = await Promise.all(bodies.map((_, index) => tested.files.create(`${index}`)))
      await Promise.all(files.map((file, index) => writeInSteps(file, bodies[index] ?? noBytes, [100_000])))
      for (const [index, file] of files.entries()) {
        const into = Buffer.alloc(bodies[index]?.length ?? 0)
        await file.read(0, into)
        expect(into.equals(bodies[index] ?? noBytes), `body ${index}`).toBe(true)
      }
      await Promise.all(files.map((file) => file.close()))
    })

    it('opens a file again that was closed', async () => {
      const file = await tested.files.create('again')
      await file.write(0, [Buffer.from('kept')])
      await file.close()
      const reopened = await tested.files.open('again')
      const into = Buffer.alloc(4)
      await reopened.read(0, into)
      expect(into.toString()).toBe('kept')
      await reopened.close()
    })

    it('rejects to read what was never written', async () => {
      const file = await tested.files.create('short')
      await file.write(0, [Buffer.alloc(100)])
      await expect(file.read(50, Buffer.alloc(51))).rejects.toThrow()
      await file.close()
      await expect(tested.files.open('missing')).rejects.toThrow()
    })

    it('is closed with all its files, when what is under way in them is done', async () => {
      const { files } = tested
      const body = bodyOf(4, 300 * KiB)
      const [one, other] = await Promise.all([files.create('one'), files.create('other')])
      const written = one.write(0, [body])
      const opening = files.create('late')
      await files.close()
      await written
      const late = await opening.catch(() => undefined)
      for (const file of [one, other, late]) {
        if (file === undefined) continue
        await expect(file.write(0, [body])).rejects.toThrow()
        await expect(file.read(0, Buffer.alloc(1))).rejects.toThrow()
        // Whoever had it may close it, too.
        await file.close()
      }
      await files.close()
    })

    it('uses a name again after it was removed, and shows nothing of what was there', async () => {
      const first = await tested.files.create('name')
      await first.write(0, [Buffer.from('secret')])
      await first.close()
      await tested.files.remove('name')
      await tested.files.remove('never-there')
      const second = await tested.files.create('name')
      await expect(second.read(0, Buffer.alloc(6))).rejects.toThrow()
      await second.close()
    })
  })
}

const noBytes = Buffer.alloc(0)

/** Bytes of which each place tells which it is. */
export function bodyOf(number: number, bytes: number): Buffer {
  const body = Buffer.alloc(bytes)
  for (let at = 0; at + 4 <= bytes; at += 4) body.writeUInt32LE((Math.imul(at, 2_654_435_761) + number) >>> 0, at)
  return body
}

async function writeInSteps(file: BodyFile, body: Buffer, steps: readonly number[]): Promise<void> {
  for (let at = 0, step = 0; at < body.length; step++) {
    const end = Math.min(body.length, at + (steps[step % steps.length] ?? 1))
    const middle = at + Math.floor((end - at) / 2)
    await file.write(
      at,
      [body.subarray(at, middle), body.subarray(middle, end)].filter(({ length }) => length > 0),
    )
    at = end
  }
}

/** Reads as a receiver does: chunk by chunk, as far as there is something. */
export class TestReceiver {
  readonly received: Buffer[] = []
  position = 0
  readonly #reader: LargeReader

  constructor(open: (onReadable: () => void) => LargeReader, { reads = true }: { reads?: boolean } = {}) {
    this.reads = reads
    this.#reader = open(() => this.read())
    this.read()
  }

  /** Whether it takes what is there. */
  reads: boolean

  get content(): Buffer {
    return Buffer.concat(this.received)
  }

  read(): void {
    if (!this.reads) return
    for (;;) {
      const length = Math.min(64 * KiB, this.#reader.availableBytes - this.position)
      if (length <= 0) return
      for (const piece of this.#reader.pieces(this.position, length)) this.received.push(Buffer.from(piece))
      this.position += length
    }
  }

  close(): void {
    this.#reader.close()
  }
}
