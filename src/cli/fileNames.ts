/** Names from outside, made fit to be names of files in one folder, on every system. */

const nameBytesMax = 200
/** Names of devices on Windows, with any extension. */
const reserved = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i

/** A name without separators, leading dots, control characters and what Windows does not take; never empty. */
export function safeFileName(name: string): string {
  const clean = name
    .normalize('NFC')
    .replaceAll(/[\p{Cc}\p{Cf}\p{Cs}/\\:*?"<>|]/gu, '_')
    .replace(/^[.\s]+/, '')
    .replace(/[.\s]+$/, '')
  const short = shorten(clean)
  if (short === '') return 'object'
  return reserved.test(short) ? `_${short}` : short
}

/** `name-2.ext`, for a name that is taken. */
export function numberedFileName(name: string, number: number): string {
  const { stem, extension } = splitExtension(name)
  return `${stem}-${number}${extension}`
}

function shorten(name: string): string {
  if (Buffer.byteLength(name) <= nameBytesMax) return name
  const { stem, extension } = splitExtension(name)
  const ending = Buffer.byteLength(extension) <= 32 ? extension : ''
  const room = nameBytesMax - Buffer.byteLength(ending)
  // Cutting within a character leaves replacement characters, which are taken away.
  return (
    Buffer.from(stem)
      .subarray(0, room)
      .toString('utf8')
      .replace(/\uFFFD+$/, '') + ending
  )
}

function splitExtension(name: string): { stem: string; extension: string } {
  const dot = name.lastIndexOf('.')
  return dot <= 0 ? { stem: name, extension: '' } : { stem: name.slice(0, dot), extension: name.slice(dot) }
}
