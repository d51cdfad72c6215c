import { expect, test } from 'vitest'
import { FakeClock } from '../clock.fixture.ts'
import { createError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { CommitGate } from './commitGate.ts'

/** A gate whose store keeps things when the test says so. */
function makeGate(commit?: () => undefined) {
  const clock = new FakeClock()
  const said: string[] = []
  const commits: { resolve(): void; reject(error: Error): void }[] = []
  const later = () =>
    new Promise<void>((resolve, reject) => {
      said.push('commit')
      commits.push({ resolve, reject })
    })
  const store: Pick<Store, 'commit' | 'beforeCommit'> = { commit: commit ?? later, beforeCommit: () => undefined }
  const gate = new CommitGate(clock, store, ({ code }) => said.push(code))
  const speaker = (name: string) => ({
    isWaiting: false,
    seal: () => {
      said.push(`seal ${name}`)
      return () => said.push(`open ${name}`)
    },
  })
  const heard = async () => {
    clock.advance(0)
    for (let turn = 0; turn < 3; turn++) await Promise.resolve()
    return said.splice(0)
  }
  return { gate, store, commits, speaker, heard }
}

test('has the store told all that waits before a commit that nobody of the relay has asked for', async () => {
  const { gate, store, commits, speaker, heard } = makeGate()
  gate.request(speaker('one'))
  store.beforeCommit()
  // There is nothing more to tell, and what is to run at the end of the turn has nothing to do.
  store.beforeCommit()
  expect(await heard()).toEqual(['seal one', 'commit', 'commit'])
  commits[0]?.resolve()
  expect(await heard()).toEqual(['open one'])
})

test('has the store told everything at the end, and lets nothing out any more', async () => {
  const { gate, commits, speaker, heard } = makeGate()
  gate.request(speaker('one'))
  expect(await heard()).toEqual(['seal one', 'commit'])
  gate.request(speaker('two'))
  gate.close()
  commits[0]?.resolve()
  expect(await heard()).toEqual(['seal two', 'commit', 'open one'])
  commits[1]?.resolve()
  expect(await heard()).toEqual([])
})

test('holds back whatever happened until it is kept, and makes one change of a turn', async () => {
  const { gate, commits, speaker, heard } = makeGate()
  const [one, two] = [speaker('one'), speaker('two')]
  gate.request(one)
  gate.request(two)
  gate.request(one)
  expect(gate.isOpen).toBe(false)
  expect(await heard()).toEqual(['seal one', 'seal two', 'commit'])
  gate.request(one)
  expect(await heard()).toEqual(['seal one', 'commit'])
  commits[0]?.resolve()
  expect(await heard()).toEqual(['open two', 'open one'])
  expect(gate.isOpen).toBe(false)
  commits[1]?.resolve()
  expect(await heard()).toEqual(['open one'])
  expect(gate.isOpen).toBe(true)
})

test('holds nothing up where everything is kept at once', async () => {
  const { gate, speaker, heard } = makeGate(() => undefined)
  gate.request(speaker('one'))
  expect(await heard()).toEqual(['seal one', 'open one'])
  expect(gate.isOpen).toBe(true)
})

test('lets nothing out when it cannot be kept, and says so', async () => {
  const { gate, commits, speaker, heard } = makeGate()
  gate.request(speaker('one'))
  await heard()
  commits[0]?.reject(createError('STORE_FAILED', 'The disk is gone.'))
  expect(await heard()).toEqual(['STORE_FAILED'])
  expect(gate.isOpen).toBe(false)
})
