import type { BlockHead } from '../log/blockFormat.ts'
import { type BlockBytes, COMMITS_MAX, type LogEnd, type RecoveredEnd } from '../log/logDisk.ts'
import { segmentCorrupt, storeCorrupt } from '../log/storeCorrupt.ts'
import type { BodyFiles } from '../spool/bodyFiles.ts'
import { BlockReader, type FoundBlock } from './blockReader.ts'
import { firstSegmentOf } from './logFiles.ts'

/** What is found in the files of a log. */
export interface FoundLog {
  /** `undefined`: there is no log yet. */
  readonly end: RecoveredEnd | undefined
  /** The files that belong to it, with what counts of each. */
  readonly files: readonly FoundFile[]
  /** Files of which nothing counts. */
  readonly unneeded: readonly string[]
}

export interface FoundFile {
  readonly name: string
  readonly starts: readonly number[]
  readonly bytes: number
}

/** A file, and its first block. */
interface Candidate {
  readonly name: string
  readonly size: number
  readonly head: BlockHead | undefined
}

/**
 * Reads the files of a log and tells all blocks that count:
 *
 * - Each owner writes into files of its own. Where the first block of a file says that the log ended, the file before it ends,
 *   whatever an earlier owner has added since.
 * - In the last file, the log ends before the first block that is not whole or does not follow, and before a commit of which the end
 *   is missing: a relay that was killed, or a machine that stopped, was about to write that commit, and nobody was told of it. But where a
 *   commit stands behind it that was begun only when this one was safe, the file was damaged.
 * - `known`: the log has been safe up to there, and must not end before.
 *
 * Rejects with `STORE_CORRUPT` or `STORE_VERSION`; it changes nothing.
 */
export async function recoverFiles(
  files: BodyFiles,
  key: number,
  known: LogEnd | undefined,
  take: (block: BlockBytes) => void,
): Promise<FoundLog> {
  const candidates = await findCandidates(files, key)
  const unneeded: string[] = []
  // An owner that ended before its first commit was whole leaves a file that nothing is known of.
  const begun: Candidate[] = []
  while (candidates.at(-1)?.head === undefined) {
    const last = candidates.pop()
    if (last === undefined) break
    begun.push(last)
  }
  const sequence = new Sequence(take)
  const found: FoundFile[] = []
  for (const [index, candidate] of candidates.entries()) {
    const file = await readFile(files, candidate, candidates[index + 1]?.head, sequence, key)
    if (file.bytes > 0) found.push(file)
    else unneeded.push(file.name)
  }
  const { end } = sequence
  for (const { name, size } of begun) {
    await withFile(files, name, (file) => checkTorn(new BlockReader(file, size, key), name, end))
    unneeded.push(name)
  }
  if (known !== undefined && (end === undefined || end.commit < known.commit))
    throw storeCorrupt('The log', `ends with commit ${end?.commit ?? 0}, though commit ${known.commit} was safe`)
  if (known !== undefined && end?.commit === known.commit && end.check !== known.check)
    throw storeCorrupt('The log', `ends with another commit ${known.commit} than the one that was safe`)
  const [first] = candidates
  if (end !== undefined && first?.head !== undefined && first.head.segment > end.first)
    throw segmentCorrupt(end.first, 'is missing')
  return { end, files: found, unneeded }
}

async function findCandidates(files: BodyFiles, key: number): Promise<Candidate[]> {
  const sizes = [...(await files.list())].filter(([name]) => firstSegmentOf(name) !== undefined)
  sizes.sort(([one], [other]) => (one < other ? -1 : 1))
  const candidates: Candidate[] = []
  for (const [name, size] of sizes) {
    const head = await withFile(files, name, async (file) => {
      const reader = new BlockReader(file, size, key)
      await reader.checkVersion()
      return (await reader.next())?.head
    })
    const begins = head !== undefined && head.offset === 0 && head.segment === firstSegmentOf(name)
    candidates.push({ name, size, head: begins ? head : undefined })
  }
  return candidates
}

function readFile(
  files: BodyFiles,
  { name, size }: Candidate,
  next: BlockHead | undefined,
  sequence: Sequence,
  key: number,
): Promise<FoundFile> {
  return withFile(files, name, async (file) => {
    const reader = new BlockReader(file, size, key)
    const first = firstSegmentOf(name) ?? 0
    const starts: number[] = []
    /** Where the last whole commit ends. */
    let end = 0
    for (;;) {
      const start = reader.at
      if (next !== undefined && sequence.end !== undefined && sequence.isFollowedBy(next))
        return { name, starts, bytes: start }
      const block = await reader.next()
      if (block === undefined || !sequence.isFollowedBy(block.head)) break
      if (block.head.offset === 0) starts[block.head.segment - first] = start
      if (sequence.add(block)) end = reader.at
    }
    if (next !== undefined) throw storeCorrupt(`The file ${name}`, 'is damaged, or was cut off')
    reader.at = end
    await checkTorn(reader, name, sequence.end)
    return { name, starts: starts.filter((start) => start < end), bytes: end }
  })
}

/** The log ends here, unless what stands behind shows that more had been safe. */
async function checkTorn(reader: BlockReader, name: string, end: LogEnd | undefined): Promise<void> {
  const lastCommit = end?.commit ?? 0
  if (!(await reader.hasCommit(lastCommit + 1 + COMMITS_MAX))) return
  throw storeCorrupt(`The file ${name}`, `is damaged behind byte ${reader.at}: commit ${lastCommit + 1} was safe`)
}

/** Blocks that follow each other. Those of a commit are told when its end has come. */
class Sequence {
  /** Where the log ends with the last whole commit. */
  end: RecoveredEnd | undefined
  readonly #take: (block: BlockBytes) => void
  #last: BlockHead | undefined
  #held: BlockBytes[] = []

  constructor(take: (block: BlockBytes) => void) {
    this.#take = take
  }

  isFollowedBy({ segment, offset, previous, commit }: BlockHead): boolean {
    const last = this.#last
    // What comes first in the log follows what was dropped.
    if (last === undefined) return offset === 0
    const continues = segment === last.segment && offset === last.offset + last.bytes
    const begins = segment === last.segment + 1 && offset === 0
    return previous === last.check && (continues || begins) && commit === last.commit + (last.isLast ? 1 : 0)
  }

  /** Returns whether that was the end of a commit. */
  add({ head, bytes }: FoundBlock): boolean {
    this.#last = head
    const { segment, offset, isLast } = head
    if (!isLast) {
      this.#held.push({ segment, offset, bytes: Buffer.from(bytes) })
      return false
    }
    for (const held of this.#held.splice(0)) this.#take(held)
    this.#take({ segment, offset, bytes })
    this.end = { commit: head.commit, check: head.check, first: head.first }
    return true
  }
}

async function withFile<T>(
  files: BodyFiles,
  name: string,
  use: (file: Awaited<ReturnType<BodyFiles['open']>>) => Promise<T>,
): Promise<T> {
  const file = await files.open(name)
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}
