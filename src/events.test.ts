import { expect, test, vi } from 'vitest'
import { TypedEvents } from './events.ts'

interface Events {
  error: Error
  done: number
}

const names: (keyof Events)[] = ['error', 'done']

test('calls the listeners of an event in the order in which they were added', () => {
  const calls: string[] = []
  const events = new TypedEvents<Events>(names, { done: (value) => calls.push(`first ${value}`) })
  events.add('done', (value) => calls.push(`second ${value}`))
  events.emit('done', 1)
  expect(calls).toEqual(['first 1', 'second 1'])
})

test('calls a listener of once a single time, and lets remove take either kind away', () => {
  const events = new TypedEvents<Events>(names)
  const listener = vi.fn()
  events.add('done', listener, { once: true })
  events.emit('done', 1)
  events.emit('done', 2)
  events.add('done', listener, { once: true })
  events.remove('done', listener)
  events.add('done', listener)
  events.remove('done', listener)
  events.remove('done', listener)
  events.emit('done', 3)
  expect(listener.mock.calls).toEqual([[1]])
  expect(events.has('done')).toBe(false)
})

test('says whether anybody listens, to an error too', () => {
  const events = new TypedEvents<Events>(names)
  expect(events.emit('error', new Error('unheard'))).toBe(false)
  events.add('error', () => undefined)
  expect(events.emit('error', new Error('heard'))).toBe(true)
})

test('refuses an event that does not exist, and a listener that is no function', () => {
  const events = new TypedEvents<Events>(names)
  expect(() => events.add('dnoe' as never, () => 1)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  expect(() => events.add('done', 5 as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  expect(() => events.add('done', 5 as never, { once: true })).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  )
})

test('throws what a listener throws where it interrupts nothing', async () => {
  const events = new TypedEvents<Events>(names)
  const listener = vi.fn()
  const thrown = new Error('broken listener')
  events.add('done', () => {
    throw thrown
  })
  events.add('done', listener)
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve))
  try {
    events.emit('done', 1)
    expect(listener).toHaveBeenCalledWith(1)
    expect(await uncaught).toBe(thrown)
  } finally {
    for (const other of others) process.on('uncaughtException', other)
  }
})
