import { createError } from '../errors.ts'

/** The first line of standard input, without its end; what follows is not looked at. */
export async function readFirstLine(bytesMax: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin) {
    const part = Buffer.from(chunk)
    const end = part.indexOf(0x0a)
    chunks.push(end === -1 ? part : part.subarray(0, end))
    bytes += end === -1 ? part.length : end
    if (bytes > bytesMax) {
      throw createError('INVALID_OPTION', `The first line of standard input has more than ${bytesMax} bytes.`, {
        details: { option: 'passwordStdin' },
      })
    }
    if (end !== -1) break
  }
  return Buffer.concat(chunks).toString('utf8').replace(/\r$/, '')
}
