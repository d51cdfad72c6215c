import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Delivery } from '../endpoint/program/endpointTypes.ts'
import { createError } from '../errors.ts'
import { Credit, parseDemand } from './credit.ts'
import { numberedFileName, safeFileName } from './fileNames.ts'
import type { InputItem } from './inputs.ts'
import { splitLines } from './lines.ts'
import { progressLine, Rate } from './progressBar.ts'
import { receiveObjects } from './receiveObjects.ts'
import { ObjectSending } from './sendObjects.ts'

const nothing = (): void => undefined

async function* items(count: number, bytes = 1): AsyncGenerator<InputItem> {
  for (let index = 1; index <= count; index++) {
    yield { object: index, bytes, where: `line ${index}`, transfer: false }
  }
}

describe('lines', () => {
  const collect = async (chunks: readonly Uint8Array[], bytesMax = 1_000): Promise<readonly string[]> => {
    const found: string[] = []
    async function* source(): AsyncGenerator<Buffer> {
      for (const chunk of chunks) yield Buffer.from(chunk)
    }
    for await (const { line, number } of splitLines(source(), bytesMax)) found.push(`${number}:${line.toString()}`)
    return found
  }

  it('are the same however the bytes are split', async () => {
    const bytes = Buffer.from('{"a":1}\r\n\n"é"\nlast')
    const cuts = fc.uniqueArray(fc.integer({ min: 0, max: bytes.length }))
    await fc.assert(
      fc.asyncProperty(cuts, async (given) => {
        const edges = [0, ...given.sort((left, right) => left - right), bytes.length]
        const chunks = edges.slice(1).map((end, index) => bytes.subarray(edges[index], end))
        expect(await collect(chunks)).toEqual(['1:{"a":1}', '2:', '3:"é"', '4:last'])
      }),
      { numRuns: 100 },
    )
  })

  it('are bounded, whole or in parts', async () => {
    await expect(collect([Buffer.alloc(11)], 10)).rejects.toThrow(/Line 1 has more than 10 bytes/)
    await expect(collect([Buffer.from('ok\n'), Buffer.alloc(6), Buffer.alloc(6)], 10)).rejects.toThrow(/Line 2/)
  })
})

describe('sending', () => {
  it('has no more on its way than its window holds', async () => {
    let underWay = 0
    let most = 0
    const sending = new ObjectSending(
      {
        send: async () => {
          most = Math.max(most, ++underWay)
          await new Promise((resolve) => setTimeout(resolve, 1))
          underWay -= 1
          return { members: { g: 2 } }
        },
        onRejected: nothing,
      },
      { objects: 100, bytes: 30 },
    )
    await sending.run(items(50, 10))
    expect(most).toBe(3)
    expect(sending.outcome).toMatchObject({ accepted: 50, rejected: 0, acceptedBytes: 500, members: { g: 2 } })
  })

  it('sends an object alone that is larger than the window', async () => {
    const send = async (): Promise<{ members: Record<string, number> }> => ({ members: {} })
    const sending = new ObjectSending({ send, onRejected: nothing }, { objects: 2, bytes: 5 })
    await sending.run(items(3, 1_000))
    expect(sending.outcome.accepted).toBe(3)
  })

  it('goes on after a full queue and ends at any other refusal', async () => {
    const run = async (code: 'QUEUE_FULL' | 'RELAY_STOPPED') => {
      const send = async ({ object }: InputItem): Promise<{ members: Record<string, number> }> => {
        if (object === 2) throw createError(code, 'no')
        return { members: {} }
      }
      const sending = new ObjectSending({ send, onRejected: nothing }, { objects: 1, bytes: 1 })
      const error: unknown = await sending.run(items(5)).catch((thrown: unknown) => thrown)
      return { error, accepted: sending.outcome.accepted, rejected: sending.outcome.rejected }
    }
    expect(await run('QUEUE_FULL')).toEqual({ error: undefined, accepted: 4, rejected: 1 })
    expect(await run('RELAY_STOPPED')).toMatchObject({ error: { code: 'RELAY_STOPPED' }, accepted: 1, rejected: 1 })
  })
})

describe('receiving', () => {
  const deliveryOf = (object: unknown, log: string[]): Delivery => ({
    object,
    group: 'g',
    kind: 'produce',
    attempt: 1,
    skipped: 0,
    deadLetter: undefined,
    signal: new AbortController().signal,
    sentAt: new Date(0),
    ack: () => log.push(`ack ${object}`),
    release: () => log.push(`release ${object}`),
  })
  const bounds = { count: undefined, timeoutMs: undefined, signal: new AbortController().signal }

  it('acknowledges what is written, and gives back what could not be', async () => {
    const log: string[] = []
    async function* deliveries(): AsyncGenerator<Delivery> {
      for (const object of [1, 2, 3]) yield deliveryOf(object, log)
    }
    const write = async ({ object }: Delivery): Promise<void> => {
      log.push(`write ${object}`)
      if (object === 2) throw new Error('disk full')
    }
    const onTaken = async (): Promise<void> => undefined
    await expect(receiveObjects(deliveries(), { write, onTaken }, bounds)).rejects.toThrow('disk full')
    expect(log).toEqual(['write 1', 'ack 1', 'write 2', 'release 2'])
  })

  it('asks for as many as it takes and never for more', async () => {
    const asked: Record<string, number>[] = []
    const credit = new Credit((counts) => asked.push(counts), 3)
    await credit.begin(['g'], { kind: 'continuous' })
    for (const remaining of [2, 1, 0]) await credit.used('g', { kind: 'continuous' }, remaining)
    expect(asked).toEqual([{ g: 3 }])
    const endless = new Credit((counts) => asked.push(counts), undefined)
    await endless.used('g', { kind: 'continuous' }, Number.POSITIVE_INFINITY)
    expect(asked.at(-1)).toEqual({ g: 1 })
    await endless.begin(['g', 'h'], { kind: 'all' })
    expect(asked.at(-1)).toEqual({ g: -1, h: -1 })
    expect(() => parseDemand('0')).toThrow(/--notify is "0"/)
  })
})

describe('names of files from outside', () => {
  it.each([
    ['report.pdf', 'report.pdf'],
    ['../../etc/passwd', '_.._etc_passwd'],
    ['..', 'object'],
    ['', 'object'],
    ['.bashrc', 'bashrc'],
    ['a/b\\c:d', 'a_b_c_d'],
    ['nul.txt', '_nul.txt'],
    ['trailing. ', 'trailing'],
  ])('make %j safe', (name, safe) => expect(safeFileName(name)).toBe(safe))

  it('are always one short name in one folder', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (name) => {
        const safe = safeFileName(name)
        expect(safe).toMatch(/^[^./\\\p{Cc}][^/\\\p{Cc}]*$/u)
        expect(Buffer.byteLength(safe)).toBeLessThanOrEqual(201)
      }),
    )
  })

  it('get a number before their extension', () => {
    expect([numberedFileName('a.tar.gz', 2), numberedFileName('a', 3)]).toEqual(['a.tar-2.gz', 'a-3'])
  })
})

describe('progress', () => {
  const progress = {
    doneBytes: 5 * 2 ** 20,
    totalBytes: 20 * 2 ** 20,
    verb: 'sent',
    count: '1 accepted',
    isDone: false,
  }

  it('tells how far, how fast and how long, as wide as the terminal is', () => {
    const text = '25%, 5.00 MiB of 20.0 MiB sent, 1 accepted, 5.00 MiB/s, 0:03 left'
    expect(progressLine(progress, 5 * 2 ** 20, 120)).toBe(`[${'#'.repeat(10)}${'.'.repeat(30)}] ${text}`)
    expect(progressLine(progress, 5 * 2 ** 20, 80)).toBe(`[###........] ${text}`)
    expect(progressLine(progress, 5 * 2 ** 20, 72)).toBe(text)
    expect(progressLine(progress, 5 * 2 ** 20, 50)).toBe('25%, 5.00 MiB of 20.0 MiB sent, 1 accepted')
    expect(progressLine(progress, 5 * 2 ** 20, 10)).toBe('25%')
    const unknown = { ...progress, totalBytes: undefined }
    expect(progressLine({ ...unknown, doneBytes: 0 }, 0, 80)).toBe('0 B sent, 1 accepted, 0 B/s')
  })

  it('fits into any terminal', () => {
    fc.assert(
      fc.property(
        fc.nat(2 ** 40),
        fc.nat(2 ** 40),
        fc.integer({ min: 2, max: 300 }),
        (doneBytes, totalBytes, columns) => {
          expect(progressLine({ ...progress, doneBytes, totalBytes }, doneBytes, columns).length).toBeLessThan(columns)
        },
      ),
    )
  })

  it('is not at its end before everything is accepted', () => {
    const full = { ...progress, doneBytes: progress.totalBytes }
    expect(progressLine(full, 1, 80)).toContain('99%')
    expect(progressLine({ ...full, isDone: true }, 1, 80)).toContain('100%')
  })

  it('has the rate of the last seconds', () => {
    const rate = new Rate(0)
    expect([rate.add(1_000, 500), rate.add(2_000, 1_000)]).toEqual([500, 500])
    for (let second = 3; second <= 60; second++) rate.add(second * 1_000, 1_000)
    expect(rate.add(61_000, 11_000)).toBe(2_000)
  })
})
