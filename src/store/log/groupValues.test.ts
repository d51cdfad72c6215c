import { describe, expect, it } from 'vitest'
import type { GroupSetting } from '../../core/ports.ts'
import { StoreWitness } from '../storeWitness.fixture.ts'
import { readGroups } from './groupValues.ts'
import { committed, type OpenedLog, openLog, reopened } from './openLog.fixture.ts'

const paused: GroupSetting = { isPaused: true, policy: undefined }
const bounded: GroupSetting = { isPaused: false, policy: { maxConsumables: 3, overflow: 'drop-oldest', maxCount: 2 } }
const both: GroupSetting = { isPaused: true, policy: {} }

/** What the log tells after a kill. */
async function settingsIn(log: OpenedLog): Promise<{ again: OpenedLog; settings: unknown }> {
  const { log: again, witness } = await reopened(log)
  return { again, settings: Object.fromEntries(witness.groups) }
}

describe('What was set of groups', () => {
  it('is told after a restart before all else, and is gone when nothing is set any more', async () => {
    const log = await openLog()
    const { journal } = log.store
    journal.groupSet('tasks', paused)
    journal.groupSet('évaluation/1', bounded)
    journal.groupSet('tasks.dead', paused)
    journal.groupSet('both', paused)
    journal.groupSet('both', both)
    new StoreWitness(log.store).produce(100, 'tasks')
    await committed(log)
    const told: string[] = []
    const other = await openLog(log.disk.crash(), log)
    other.store.recover({
      groupSet: (group) => void told.push(group),
      place: ({ group }) => void told.push(`an object of ${group}`),
      remembered: () => undefined,
    })
    expect(told.indexOf('an object of tasks')).toBe(4)
    const { again, settings } = await settingsIn(log)
    expect(settings).toEqual({ tasks: paused, 'évaluation/1': bounded, 'tasks.dead': paused, both })
    again.store.journal.groupSet('tasks', { isPaused: false, policy: undefined })
    again.store.journal.groupSet('both', bounded)
    await committed(again)
    const later = await settingsIn(again)
    expect(later.settings).toEqual({ 'évaluation/1': bounded, 'tasks.dead': paused, both: bounded })
  })

  it('is committed though nothing else is told, and not there if it was not', async () => {
    const log = await openLog()
    await committed(log)
    log.store.journal.groupSet('tasks', paused)
    const kept = log.store.commit()
    expect(kept).toBeInstanceOf(Promise)
    log.disk.complete()
    await kept
    log.store.journal.groupSet('tasks', both)
    void log.store.commit()
    expect((await settingsIn(log)).settings).toEqual({ tasks: paused })
  })

  it('is there when the segment that it was written to is gone', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    witness.set('tasks', both)
    await committed(log)
    const [first] = log.disk.segments.keys()
    for (let round = 0; round < 20; round++) {
      const ones = Array.from({ length: 20 }, () => witness.produce(20_000))
      await committed(log)
      for (const one of ones) witness.consume(one)
    }
    await committed(log)
    expect([...log.disk.segments.keys()]).not.toContain(first)
    expect((await settingsIn(log)).settings).toEqual({ tasks: both })
  })

  it.each<[string, string, GroupSetting]>([
    ['a bound that cannot be', 'g', { isPaused: false, policy: { maxConsumables: -1 } }],
    ['a rule of a later version', 'g', { isPaused: true, policy: Object.assign({ maxCount: 1 }, { later: 1 }) }],
    ['a policy for dead letters', 'g.dead', bounded],
    ['no name', '', paused],
  ])('is refused if it is %s: STORE_CORRUPT', async (_, group, setting) => {
    const log = await openLog()
    log.store.journal.groupSet(group, setting)
    await committed(log)
    await expect(reopened(log)).rejects.toMatchObject({
      code: 'STORE_CORRUPT',
      message: expect.stringContaining(`"groups/${group}"`),
    })
  })

  it.each([
    '',
    '{"paused":true',
    'null',
    '[]',
    '{}',
    '{"paused":false}',
    '{"paused":1,"policy":{}}',
    '{"paused":true,"policy":null}',
    '{"paused":true,"until":9}',
  ])('is refused if it is told as %j: STORE_CORRUPT', (text) => {
    expect(() => readGroups([['groups/g', Buffer.from(text)]])).toThrow(
      expect.objectContaining({ code: 'STORE_CORRUPT' }),
    )
  })
})
