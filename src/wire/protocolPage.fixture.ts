import { readFileSync } from 'node:fs'

/** One line of a drawn frame: where a field lies, what it is called, how wide it is, and its bytes. */
export interface DrawnField {
  readonly offset: number
  readonly name: string
  readonly type: string
  readonly bytes: Buffer
  /** The number that the page says these bytes are. */
  readonly value: number | undefined
}

export interface DrawnFrame {
  readonly name: string
  readonly fields: readonly DrawnField[]
  readonly bytes: Buffer
}

const page = readFileSync(new URL('../../PROTOCOL.md', import.meta.url), 'utf8')

/** The frames that PROTOCOL.md draws in its blocks marked `frame`. */
export function drawnFrames(): DrawnFrame[] {
  return [...page.matchAll(/^```frame (.+)\n([\s\S]*?)^```$/gm)].map(([, name = '', body = '']) => {
    const fields = body.trimEnd().split('\n').map(readField)
    return { name, fields, bytes: Buffer.concat(fields.map((field) => field.bytes)) }
  })
}

function readField(line: string): DrawnField {
  const [, offset, name = '', type = '', rest = ''] = /^ *(\d+) {2}(\S+) +(\S+) *(.*)$/.exec(line) ?? []
  if (offset === undefined) throw new Error(`PROTOCOL.md draws a field in a line that cannot be read: ${line}`)
  if (type === 'text') return { offset: Number(offset), name, type, bytes: Buffer.from(rest), value: undefined }
  const [hex = '', value] = rest.split(' = ')
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')
  return { offset: Number(offset), name, type, bytes, value: value === undefined ? undefined : Number(value) }
}

/** The lines of the session that PROTOCOL.md shows at its end: who sends, which frame, and its bytes. */
export function transcriptLines(): { sender: string; name: string; bytes: Buffer }[] {
  const [, body = ''] = /^```transcript\n([\s\S]*?)^```$/m.exec(page) ?? []
  return body
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [, sender = '', name = '', rest = ''] = /^(\S+) +(\S+) +(.*)$/.exec(line) ?? []
      const [, hex = '', text = ''] = /^((?:[0-9a-f]{2} ?)+) *(\{.*\})?/.exec(rest) ?? []
      return {
        sender,
        name,
        bytes: Buffer.concat([Buffer.from(hex.replaceAll(' ', ''), 'hex'), Buffer.from(text)]),
      }
    })
}
