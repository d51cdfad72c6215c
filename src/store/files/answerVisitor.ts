import { createError } from '../../errors.ts'
import type { CopiedPart } from '../log/logCopy.ts'
import type { BodyFiles } from '../spool/bodyFiles.ts'
import type { StoredGroup, StoreView } from '../storeView.ts'
import type { LocalMessage, LocalRequest } from './localService.ts'

/** What a relay tells of its store. */
export interface VisitedStore {
  readonly relayName: string
  readonly view: StoreView
  /** Where bodies of large objects are. */
  readonly bodies: Pick<BodyFiles, 'open' | 'list'>
  copy(): AsyncIterable<CopiedPart>
}

const PIECE_BYTES = 1024 * 1024

/** What a relay answers to a program that looks into its store. */
export async function* answerVisitor(store: VisitedStore, request: LocalRequest): AsyncGenerator<LocalMessage> {
  if (request.what === 'groups') yield* tellGroups(store)
  else if (request.what === 'copies') yield* tellCopies(store, request.group ?? '')
  else if (request.what === 'backup') yield* tellAll(store)
  else throw createError('INVALID_ARGUMENT', `A relay cannot tell "${request.what}" of its store.`)
}

async function* tellGroups({ relayName, view }: VisitedStore): AsyncGenerator<LocalMessage> {
  yield { json: { relay: relayName } }
  for (const [name, group] of await view.groups()) yield { json: { name, ...plainGroup(group) } }
}

function plainGroup({ oldest, retained, ...counts }: StoredGroup): Record<string, unknown> {
  return {
    ...counts,
    oldest: oldest?.getTime(),
    retained: retained === undefined ? undefined : { bytes: retained.bytes, sentAt: retained.sentAt.getTime() },
  }
}

/** Of each object what surrounds it, its body in pieces, and that it has ended. */
async function* tellCopies({ view }: VisitedStore, group: string): AsyncGenerator<LocalMessage> {
  for await (const { body, sentAt, ...copy } of view.copies(group)) {
    yield { json: { ...copy, sentAt: sentAt.getTime() } }
    for await (const piece of body()) yield { bytes: Buffer.from(piece.buffer, piece.byteOffset, piece.length) }
    yield { json: { ended: true } }
  }
}

async function* tellAll(store: VisitedStore): AsyncGenerator<LocalMessage> {
  for await (const part of store.copy()) {
    if (part.kind === 'log') yield { bytes: part.bytes }
    else if (part.kind === 'begin') yield { json: { begin: part.segment } }
    else {
      yield { json: { body: part.name } }
      yield* readBody(store.bodies, part.name)
    }
  }
}

async function* readBody(bodies: VisitedStore['bodies'], name: string): AsyncGenerator<LocalMessage> {
  const bytes = (await bodies.list()).get(name) ?? 0
  const file = await bodies.open(name)
  try {
    for (let at = 0; at < bytes; at += PIECE_BYTES) {
      const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, bytes - at))
      await file.read(at, piece)
      yield { bytes: piece }
    }
  } finally {
    await file.close()
  }
}
