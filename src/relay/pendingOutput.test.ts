import { expect, test } from 'vitest'
import { type LinkWriter, ReliableChannel } from '../wire/reliableChannel.ts'
import { PendingOutput } from './pendingOutput.ts'

function makeOutput() {
  const channel = new ReliableChannel(1_000, 1_000)
  const written: string[] = []
  const link: LinkWriter = { write: (bytes) => written.push(bytes.toString('latin1')), pendingBytes: 0 }
  channel.attach(link, 0)
  channel.writeConfirm()
  written.length = 0
  const output = new PendingOutput(channel, undefined)
  const leave = () => {
    channel.pump()
    return written.splice(0).join('')
  }
  return { channel, output, leave }
}

const frame = (text: string) => {
  const bytes = Buffer.alloc(4 + text.length)
  bytes.writeUInt32LE(bytes.length)
  bytes.write(text, 4, 'latin1')
  return bytes
}

test('lets nothing leave before it is released, and then only what was there at the mark', () => {
  const { channel, output, leave } = makeOutput()
  output.send(frame('one'))
  output.send(frame('two'))
  const mark = output.mark()
  output.send(frame('three'))
  expect([leave(), output.bytes]).toEqual(['', 23])
  output.release(mark)
  expect(leave()).toMatch(/one.*two$/s)
  expect([channel.log.appendedFrames, output.bytes, output.isEmpty]).toEqual([2, 9, false])
  output.release(output.mark())
  expect(leave()).toMatch(/three$/)
  expect([channel.log.appendedFrames, output.isEmpty]).toEqual([3, true])
})

test('does things between the frames that they were put between', () => {
  const { channel, output } = makeOutput()
  const seen: number[] = []
  output.do(() => seen.push(channel.log.appendedFrames))
  output.send(frame('one'))
  output.do(() => seen.push(channel.log.appendedFrames))
  output.send(frame('two'))
  output.send(frame('three'))
  const first = output.mark()
  output.do(() => seen.push(channel.log.appendedFrames))
  const second = output.mark()
  output.release(first)
  expect(seen).toEqual([0, 1])
  output.release(second)
  expect(seen).toEqual([0, 1, 3])
})

test('a mark may be released late, and again, and holds over thousands of entries', () => {
  const { channel, output } = makeOutput()
  const marks: number[] = []
  for (let index = 0; index < 5_000; index++) {
    output.do(() => undefined)
    output.send(frame(`${index}`))
    marks.push(output.mark())
  }
  for (const [index, mark] of marks.entries()) {
    if (index % 3 === 0) output.release(mark)
    if (index % 3 === 0) expect(channel.log.appendedFrames).toBe(index + 1)
    output.release(marks[0] ?? 0)
  }
  output.release(marks.at(-1) ?? 0)
  expect([channel.log.appendedFrames, output.isEmpty, output.bytes]).toEqual([5_000, true, 0])
})

test('sends what is read from a disk in its order, and frames that are read together as one piece', async () => {
  const { channel, output, leave } = makeOutput()
  const [first, second] = [Buffer.concat(['one', 'two', 'three'].map(frame)), frame('five')]
  let read: (buffer: Buffer) => void = () => undefined
  const reading = new Promise<Buffer>((resolve) => {
    read = resolve
  })
  const came: string[] = []
  const failed = () => came.push('failed')
  output.sendLoaded({ reading, start: 0, end: 7 }, 1, () => came.push('one and two'), failed)
  output.sendLoaded({ reading, start: 7, end: 14 }, 1, () => came.push('never'), failed)
  output.release(output.mark())
  // Behind a mark, it is told apart.
  output.sendLoaded({ reading, start: 14, end: 23 }, 1, () => came.push('three'), failed)
  output.send(frame('four'))
  output.sendLoaded(
    { reading: Promise.resolve(second), start: 0, end: second.length },
    1,
    () => came.push('five'),
    failed,
  )
  await Promise.resolve()
  expect([leave(), came, output.bytes]).toEqual(['', ['five'], 16])
  read(first)
  await reading
  expect([channel.log.appendedFrames, came]).toEqual([2, ['five', 'one and two', 'three']])
  output.release(output.mark())
  expect(leave()).toMatch(/one.*two.*three.*four.*five$/s)
  expect([channel.log.appendedFrames, output.bytes, output.isEmpty]).toEqual([5, 0, true])
})

test('says once that what is read together cannot be read', async () => {
  const { output } = makeOutput()
  const reading = Promise.reject(new Error('gone'))
  let failures = 0
  for (const start of [0, 7])
    output.sendLoaded(
      { reading, start, end: start + 7 },
      1,
      () => undefined,
      () => failures++,
    )
  await reading.catch(() => undefined)
  expect(failures).toBe(1)
})
