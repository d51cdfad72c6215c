import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createError, errorCatalogue, isErrorCode } from '../errors.ts'
import { type ErrorFrame, errorCodesOfFrames, errorInFrame } from './errorCodes.ts'

const page = readFileSync(new URL('../../PROTOCOL.md', import.meta.url), 'utf8')
const frames: readonly ErrorFrame[] = ['REFUSED', 'CLOSE', 'REJECTED']

/** The table of R15.6: the code, the frames that it stands in, and whether to try again. */
function rows(): { code: string; frames: string[]; again: string }[] {
  const [, table = ''] = /\*\*R15\.6\*\*[^|]*((?:\|.*\n)+)/.exec(page) ?? []
  return [...table.matchAll(/^\| `([A-Z_]+)` \| ([^|]+) \| ([^|]+) \|/gm)].map(
    ([, code = '', where = '', again = '']) => ({
      code,
      frames: frames.filter((frame) => new RegExp(`\\b${frame}\\b`).test(where)),
      again,
    }),
  )
}

describe('The codes in PROTOCOL.md', () => {
  it.each(frames)('are those that may stand in %s', (frame) => {
    const printed = rows().filter((row) => row.frames.includes(frame))
    expect(printed.map(({ code }) => code).sort()).toEqual([...errorCodesOfFrames[frame]].sort())
  })

  it('have one row each, which says as the catalogue does whether to try again', () => {
    const codes = rows().map(({ code }) => code)
    expect(new Set(codes).size).toBe(codes.length)
    for (const { code, again, frames: where } of rows()) {
      expect(where, code).not.toEqual([])
      expect(again, code).toBe(isErrorCode(code) && errorCatalogue[code].retryable ? 'yes' : 'no')
    }
  })
})

describe('An error in a frame', () => {
  it('keeps its code where that may stand there', () => {
    const error = createError('GROUP_FULL', 'full', { details: { group: 'g' } })
    expect(errorInFrame('REFUSED', error)).toEqual({ code: 'GROUP_FULL', message: 'full', details: { group: 'g' } })
  })

  it.each(frames)('never has another code: %s', (frame) => {
    for (const code of Object.keys(errorCatalogue).filter(isErrorCode)) {
      expect(errorCodesOfFrames[frame]).toContain(errorInFrame(frame, createError(code, 'text')).code)
    }
  })
})
