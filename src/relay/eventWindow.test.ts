import { expect, it } from 'vitest'
import { fixedLimits } from '../limits.ts'
import { EventWindow } from './eventWindow.ts'
import type { RelayEventMessage } from './relayEvents.ts'

it('keeps a bounded number of events for a program that is busy, and tells it how many there were beside them', () => {
  const passed: RelayEventMessage[] = []
  const window = new EventWindow((event) => passed.push(event))
  const { waitingEventsMax } = fixedLimits
  for (let count = 0; count < waitingEventsMax + 7; count++)
    window.emit({ name: 'warning', value: { code: 'NO_TLS', message: 'x' } })
  expect(passed).toHaveLength(waitingEventsMax)
  window.heard(100)
  expect(passed).toHaveLength(waitingEventsMax + 1)
  expect(passed.at(-1)).toMatchObject({ name: 'warning', value: { message: expect.stringMatching(/^7 events/) } })
  window.emit({ name: 'warning', value: { code: 'NO_TLS', message: 'the next' } })
  window.heard(100)
  expect(passed.at(-1)).toMatchObject({ value: { code: 'NO_TLS', message: 'the next' } })
})
