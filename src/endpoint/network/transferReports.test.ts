import { expect, it } from 'vitest'
import { FakeClock } from '../../clock.fixture.ts'
import { readTransfer, type Transfer } from '../records.ts'
import { TransferReports } from './transferReports.ts'

it('tells how far large objects are, some times in a second while there are any, and that they are through', () => {
  const clock = new FakeClock()
  const told: Transfer[] = []
  let now: Transfer = { sentBytes: 0, arrivedBytes: 0, arrivingBytes: 0 }
  const reports = new TransferReports(
    clock,
    () => now,
    (record) => told.push(readTransfer(record, 0)),
  )
  reports.moved(false)
  expect(clock.timers).toBe(0)
  for (let percent = 1; percent <= 100; percent++) {
    now = { sentBytes: percent, arrivedBytes: 2 * percent, arrivingBytes: 2 ** 40 }
    reports.moved(true)
    clock.advance(10)
  }
  expect(told).toHaveLength(5)
  expect(told.at(-1)).toEqual({ sentBytes: 100, arrivedBytes: 200, arrivingBytes: 2 ** 40 })
  now = { sentBytes: 0, arrivedBytes: 0, arrivingBytes: 0 }
  reports.moved(false)
  clock.advance(200)
  expect(told.at(-1)).toEqual(now)
  reports.moved(false)
  expect([told.length, clock.timers]).toEqual([6, 0])
})
