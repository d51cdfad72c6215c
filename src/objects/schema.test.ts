import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { SchemaError } from '../errors.ts'
import { validate } from './schema.ts'

const episode = z.object({
  reward: z.number(),
  steps: z.array(z.object({ action: z.int() })),
  tag: z.string().default('none'),
})

describe('a schema', () => {
  test('gives what it makes of the object', () => {
    expect(validate(episode, { reward: 1, steps: [] })).toEqual({ reward: 1, steps: [], tag: 'none' })
  })

  test('names the path of what does not fit', () => {
    const check = () => validate(episode, { reward: 1, steps: [{ action: 1 }, { action: 'left' }] })
    expect(check).toThrow(SchemaError)
    expect(check).toThrow(/object\.steps\[1\]\.action: /)
    expect(check).toThrow(expect.objectContaining({ details: { issues: 1, path: 'object.steps[1].action' } }))
  })

  test('may answer later', async () => {
    const later = z.string().refine(async (text) => text !== 'no')
    // zod has a synchronous and an asynchronous form; the standard one decides by itself.
    await expect(validate(later, 'yes')).resolves.toBe('yes')
    await expect(validate(later, 'no')).rejects.toThrow(SchemaError)
  })

  test('that fails itself is a mismatch with the cause', async () => {
    const broken = z.string().transform(() => {
      throw new Error('broken')
    })
    await expect(Promise.resolve().then(() => validate(broken, 'x'))).rejects.toThrow(/schema of the group failed/)
  })
})
