import { constants } from 'node:fs'
import { mkdtemp, readdir, readFile, readlink, realpath, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openFilesIn } from '../../../test/support/openFiles.ts'
import { systemClock } from '../../clock.ts'
import { bodyOf, describeBodyFiles } from './body.contract.ts'
import { BodyFolder } from './bodyFolder.ts'
import { FreeExtents } from './freeExtents.ts'
import { SimulatedFiles } from './simulatedFiles.fixture.ts'
import { SpillFile } from './spillFile.ts'

async function inFolder<Result>(test: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'objectrelay-spool-'))
  try {
    return await test(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

describeBodyFiles('A temporary file for bodies', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'objectrelay-spool-'))
  const files = new SpillFile(folder)
  return {
    files,
    end: async () => {
      await files.close()
      await rm(folder, { recursive: true })
    },
  }
})

describeBodyFiles('A folder of bodies', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'objectrelay-spool-'))
  return {
    files: new BodyFolder(join(folder, 'bodies'), { isSynced: true }),
    end: () => rm(folder, { recursive: true }),
  }
})

describeBodyFiles('A folder of the files of a log', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'objectrelay-log-'))
  return {
    files: new BodyFolder(join(folder, 'log'), { isSynced: true, isLog: true }),
    end: () => rm(folder, { recursive: true }),
  }
})

describe('A folder of the files of a log', () => {
  it.runIf(process.platform === 'linux')('has the operating system make each write safe', () =>
    inFolder(async (folder) => {
      for (const isLog of [true, false]) {
        const files = new BodyFolder(join(folder, `${isLog}`), { isSynced: true, isLog })
        await files.create('1')
        expect(await openFlags(join(folder, `${isLog}`, '1')), `${isLog}`).toEqual([isLog ? constants.O_DSYNC : 0])
        await files.close()
      }
    }),
  )
})

/** Whether this process writes to a file with O_DSYNC, for each time that the file is open. */
async function openFlags(path: string): Promise<number[]> {
  const flags: number[] = []
  for (const descriptor of await readdir('/proc/self/fd')) {
    if ((await readlink(`/proc/self/fd/${descriptor}`).catch(() => '')) !== path) continue
    const text = await readFile(`/proc/self/fdinfo/${descriptor}`, 'utf8')
    flags.push(Number.parseInt(/flags:\s*(\d+)/.exec(text)?.[1] ?? '', 8) & constants.O_DSYNC)
  }
  return flags
}

describeBodyFiles('The files of the simulation', () =>
  Promise.resolve({ files: new SimulatedFiles(systemClock), end: () => Promise.resolve() }),
)

describe('A temporary file for bodies', () => {
  it('has no name while it is used, and leaves nothing behind', () =>
    inFolder(async (folder) => {
      const files = new SpillFile(folder)
      const file = await files.create('1')
      await file.write(0, [bodyOf(1, 100_000)])
      // Where an open file keeps its name, it goes with the relay.
      if (process.platform !== 'win32') expect(await readdir(folder)).toEqual([])
      await files.close()
      expect(await readdir(folder)).toEqual([])
    }))

  it('keeps what is written while room at its end is given back', () =>
    inFolder(async (folder) => {
      const files = new SpillFile(folder)
      const large = bodyOf(2, 1024 * 1024)
      const old = await files.create('old')
      for (let extent = 0; extent < 150; extent++) await old.write(extent * large.length, [large])
      const removed = files.remove('old')
      const content = bodyOf(3, 2 * 1024 * 1024)
      const bodies = await Promise.all(Array.from({ length: 70 }, (_, index) => files.create(`${index}`)))
      await Promise.all(bodies.map((body) => body.write(0, [content])))
      await removed
      const into = Buffer.alloc(content.length)
      for (const [index, body] of bodies.entries()) {
        await body.read(0, into)
        expect(into.equals(content), `body ${index}`).toBe(true)
      }
      await files.close()
    }))

  it('is not written into a folder that is not there, and is once the folder is', () =>
    inFolder(async (folder) => {
      const files = new SpillFile(join(folder, 'later'))
      await expect(files.create('1')).rejects.toThrow('ENOENT')
      const { mkdir } = await import('node:fs/promises')
      await mkdir(join(folder, 'later'))
      await (await files.create('1')).close()
      await files.close()
    }))
})

describe('A folder of bodies', () => {
  it('holds files that nobody else can read, and tells their sizes', () =>
    inFolder(async (folder) => {
      const files = new BodyFolder(join(folder, 'bodies'), { isSynced: false })
      expect(await files.list()).toEqual(new Map())
      const file = await files.create('17')
      await file.write(0, [bodyOf(1, 1_000)])
      await file.close()
      expect(await files.list()).toEqual(new Map([['17', 1_000]]))
      if (process.platform !== 'win32') expect((await stat(join(folder, 'bodies', '17'))).mode & 0o777).toBe(0o600)
      await files.remove('17')
      expect(await readdir(join(folder, 'bodies'))).toEqual([])
    }))

  it('leaves no file open, and opens none, when it is closed', () =>
    inFolder(async (folder) => {
      const files = new BodyFolder(folder, { isSynced: true })
      const file = await files.create('1')
      await (await files.create('2')).close()
      const opening = files.create('3')
      if (process.platform === 'linux') expect(openFilesIn(folder)).toContain(join(await realpath(folder), '1'))
      await files.close()
      expect(openFilesIn(folder)).toEqual([])
      await opening.catch(() => undefined)
      expect(openFilesIn(folder)).toEqual([])
      await expect(files.create('4')).rejects.toMatchObject({ code: 'STOPPED' })
      await expect(files.open('2')).rejects.toMatchObject({ code: 'STOPPED' })
      await file.close()
    }))

  it('knows no names that lead elsewhere', () =>
    inFolder(async (folder) => {
      const files = new BodyFolder(folder, { isSynced: false })
      for (const name of ['../up', 'a/b', '', '.', 'A:b', '..']) {
        await expect(files.create(name), name).rejects.toThrow('is no name of a body')
      }
    }))
})

describe('The free room of a temporary file', () => {
  it('is used from the beginning on, and cut off at the end beyond some spare', () => {
    const extents = new FreeExtents(2)
    expect([0, 1, 2, 3, 4, 5].map(() => extents.take())).toEqual([0, 1, 2, 3, 4, 5])
    extents.give(1)
    extents.give(5)
    extents.give(4)
    expect(extents.takeShrunkCount()).toBeUndefined()
    expect(extents.take()).toBe(1)
    extents.give(3)
    extents.give(2)
    expect(extents.takeShrunkCount()).toBe(4)
    expect(extents.takeShrunkCount()).toBeUndefined()
    expect([0, 1, 2].map(() => extents.take())).toEqual([2, 3, 4])
  })
})
