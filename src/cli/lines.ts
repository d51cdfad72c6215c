import { createError } from '../errors.ts'

/** A line without its end, and its number, counted from 1. */
export interface Line {
  readonly line: Buffer
  readonly number: number
}

/**
 * Cuts a stream of bytes into lines that end with LF or CR LF; the last one needs no end. A line may come in any number
 * of chunks, which are put together once, when it is whole.
 */
export async function* splitLines(chunks: AsyncIterable<Buffer>, lineBytesMax: number): AsyncGenerator<Line> {
  let parts: Buffer[] = []
  let bytes = 0
  let number = 1
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      const last = chunk.subarray(start, end)
      check(bytes + last.length, lineBytesMax, number)
      yield { line: withoutReturn(parts.length === 0 ? last : Buffer.concat([...parts, last])), number }
      parts = []
      bytes = 0
      number += 1
      start = end + 1
    }
    if (start === chunk.length) continue
    const rest = chunk.subarray(start)
    bytes += rest.length
    check(bytes, lineBytesMax, number)
    parts.push(rest)
  }
  if (bytes > 0) yield { line: withoutReturn(Buffer.concat(parts)), number }
}

function check(bytes: number, bytesMax: number, number: number): void {
  if (bytes <= bytesMax) return
  throw createError(
    'INVALID_ARGUMENT',
    `Line ${number} has more than ${bytesMax} bytes; --input raw has no such bound.`,
    {
      details: { argument: 'input', where: `line ${number}` },
    },
  )
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === 0x0d ? line.subarray(0, -1) : line
}
