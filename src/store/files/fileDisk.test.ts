import { describe, expect, it } from 'vitest'
import { BLOCK_HEAD_BYTES, writeBlockHead } from '../log/blockFormat.ts'
import type { LogChange } from '../log/logDisk.ts'
import type { FileDisk } from './fileDisk.ts'
import { SimulatedFolder } from './openDisk.fixture.ts'

function full(): Error {
  return Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
}

/** Commits of one block each, in a segment of its own. */
function commitsFor({ key }: SimulatedFolder): (blockBytes?: number) => LogChange {
  let commit = 0
  let previous = 0
  return (blockBytes = 100) => {
    const bytes = Buffer.alloc(BLOCK_HEAD_BYTES + blockBytes, 7)
    commit++
    const head = { isLast: true, segment: commit, offset: 0, framesEnd: bytes.length, previous, first: 1, commit }
    previous = writeBlockHead(bytes, head, key)
    return { blocks: [{ segment: commit, offset: 0, bytes }], first: 1 }
  }
}

async function turns(folder: SimulatedFolder, count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    folder.clock.advance(1)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function opened(folder: SimulatedFolder): Promise<FileDisk> {
  const disk = folder.open()
  const recovered = disk.recover(() => undefined)
  await turns(folder)
  await recovered
  return disk
}

/** What becomes of a promise, as far as it has. */
function watch(promise: Promise<void>): { state: string } {
  const watched = { state: 'pending' }
  promise.then(
    () => {
      watched.state = 'kept'
    },
    (error: { code?: string }) => {
      watched.state = error.code ?? 'untyped'
    },
  )
  return watched
}

describe('A log in files', () => {
  it('tries again while the disk is full, says so once, and says nothing is kept before it is', async () => {
    const folder = new SimulatedFolder()
    const disk = await opened(folder)
    const next = commitsFor(folder)
    folder.log.faults.writeError = full()
    const watched = watch(disk.commit(next()))
    await turns(folder, 5_000)
    expect(watched.state).toBe('pending')
    expect(folder.reports.map(({ code }) => code)).toEqual(['STORE_FULL'])
    folder.log.faults.writeError = undefined
    await turns(folder, 5_000)
    expect(watched.state).toBe('kept')
    expect(folder.log.synced.size).toBe(1)
  })

  it('writes two commits at once, and says that the second is kept when the first is', async () => {
    const folder = new SimulatedFolder()
    const disk = await opened(folder)
    const next = commitsFor(folder)
    disk.commit(next())
    await turns(folder)
    const first = watch(disk.commit(next()))
    const second = watch(disk.commit(next()))
    await turns(folder, 1)
    expect(folder.log.writes, 'of the two, and of the one before').toBe(3)
    await turns(folder)
    // Now only the first waits for the disk.
    folder.log.faults.writeError = full()
    const third = watch(disk.commit(next()))
    await turns(folder)
    folder.log.faults.writeError = undefined
    const fourth = watch(disk.commit(next()))
    await turns(folder, 5)
    expect([first.state, second.state, third.state, fourth.state]).toEqual(['kept', 'kept', 'pending', 'pending'])
    await turns(folder, 1_000)
    expect([third.state, fourth.state]).toEqual(['kept', 'kept'])
  })

  it('begins a file only when all before it is safe, and adds to it only when it has begun', async () => {
    const folder = new SimulatedFolder()
    const disk = folder.open({ bytesMax: 8_000_000 })
    const recovered = disk.recover(() => undefined)
    await turns(folder)
    await recovered
    const next = commitsFor(folder)
    disk.commit(next(200_000))
    await turns(folder)
    folder.log.faults.writeError = full()
    const first = watch(disk.commit(next(200_000)))
    await turns(folder)
    folder.log.faults.writeError = undefined
    // The first file is full.
    const second = watch(disk.commit(next()))
    await turns(folder, 5)
    expect([first.state, second.state, folder.log.files.size]).toEqual(['pending', 'pending', 1])
    await turns(folder, 1_000)
    expect([first.state, second.state, folder.log.files.size]).toEqual(['kept', 'kept', 2])
  })

  it('never tries a sync again that failed: nothing is kept any more', async () => {
    const folder = new SimulatedFolder()
    const disk = await opened(folder)
    const next = commitsFor(folder)
    folder.log.faults.syncError = Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' })
    const first = watch(disk.commit(next()))
    await turns(folder)
    expect(first.state).toBe('STORE_FAILED')
    folder.log.faults.syncError = undefined
    const second = watch(disk.commit(next()))
    await turns(folder)
    expect(second.state).toBe('STORE_FAILED')
  })

  it('does not wait for a full disk when it ends', async () => {
    const folder = new SimulatedFolder()
    const disk = await opened(folder)
    folder.log.faults.writeError = full()
    const watched = watch(disk.commit(commitsFor(folder)()))
    await turns(folder)
    disk.stopRetrying()
    await turns(folder)
    expect(watched.state).toBe('STORE_FULL')
    const closed = watch(disk.close({ commit: 0, check: 0 }))
    await turns(folder)
    expect(closed.state).toBe('kept')
    expect(folder.end).toBeUndefined()
  })

  it('has everything that was kept, whichever write finds the disk full', async () => {
    for (let failing = 1; failing <= 8; failing++) {
      const folder = new SimulatedFolder()
      const disk = await opened(folder)
      const next = commitsFor(folder)
      let kept = 0
      for (let count = 1; count <= 8; count++) {
        if (count === failing) folder.log.faults.writeError = full()
        const watched = watch(disk.commit(next()))
        await turns(folder)
        folder.log.faults.writeError = undefined
        await turns(folder, 200)
        if (watched.state === 'kept') kept++
      }
      expect(kept).toBe(8)
      const after = folder.crashed()
      const segments: number[] = []
      const recovered = after.open().recover(({ segment }) => void segments.push(segment))
      await turns(after, 100)
      await recovered
      expect(segments).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    }
  })

  it('deletes files of which nothing is needed, and reads the others', async () => {
    const folder = new SimulatedFolder()
    const disk = folder.open({ bytesMax: 1 })
    const recovered = disk.recover(() => undefined)
    await turns(folder)
    await recovered
    const next = commitsFor(folder)
    for (let count = 0; count < 4; count++) {
      const watched = watch(disk.commit(next()))
      await turns(folder)
      expect(watched.state).toBe('kept')
    }
    const into = Buffer.alloc(BLOCK_HEAD_BYTES + 100)
    const read = watch(disk.read(2, into))
    await turns(folder)
    expect(read.state).toBe('kept')
    expect(into.subarray(BLOCK_HEAD_BYTES).every((byte) => byte === 7)).toBe(true)
    const missing = watch(disk.read(9, into))
    await turns(folder)
    expect(missing.state).toBe('STORE_CORRUPT')
  })
})
