import { createError, ObjectRelayError } from '../errors.ts'
import { choiceFlag, textOf, textsOf, usageError } from './commandContext.ts'
import { FileInput } from './fileInput.ts'
import {
  fromArguments,
  fromFiles,
  fromJsonText,
  fromLines,
  fromRaw,
  type InputContext,
  type InputItem,
  totalBytes,
  untilAborted,
} from './inputs.ts'
import type { ProgressBar } from './progressBar.ts'
import type { Flags } from './settings.ts'

/** What is to be sent, as far as it could be looked at before anything is. */
export interface SendInput {
  /** How many bytes it has, if that is known. */
  readonly totalBytes: number | undefined
  items(context: InputContext): AsyncIterable<InputItem>
}

/** Refuses flags that contradict each other. */
export function checkInputFlags(values: readonly string[], flags: Flags): void {
  const given = [
    ...(values.length > 0 ? ['objects as arguments'] : []),
    ...(textsOf(flags.file).length > 0 ? ['--file'] : []),
    ...(flags.input !== undefined ? ['--input'] : []),
  ]
  if (given.length > 1) throw usageError(given.join(' and '), 'exclude each other: choose one way to give the objects')
  if (given.length === 0 || given[0] === '--input') {
    if (flags.passwordStdin === true) {
      throw usageError('--password-stdin', 'needs objects as arguments or --file: standard input cannot give both')
    }
  }
  const input = choiceFlag('--input', flags.input, ['ndjson', 'json', 'raw'])
  if (flags.name !== undefined && input !== 'raw') throw usageError('--name', 'needs --input raw')
}

/**
 * Opens what the flags name. What can be read twice is read now: arguments, and lines of standard input when that is a plain file.
 * So either all of it is fit to be sent, or nothing is sent. Of a pipe that cannot be known.
 */
export async function openInput(
  values: readonly string[],
  flags: Flags,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: ProgressBar },
): Promise<SendInput> {
  const plainJson = flags.plainJson === true
  if (values.length > 0) {
    const items = await nothingSentYet(async () => fromArguments(values, { plainJson }))
    return { totalBytes: undefined, items: () => each(items) }
  }
  const files = textsOf(flags.file)
  if (files.length > 0) return { totalBytes: await totalBytes(files), items: (context) => fromFiles(files, context) }
  const file = await FileInput.open()
  const input = flags.input ?? 'ndjson'
  if (input !== 'ndjson') {
    const name = textOf(flags.name) ?? 'stdin'
    const items = (context: InputContext) =>
      input === 'raw' ? fromRaw(process.stdin, name, context) : fromJsonText(process.stdin, context)
    return { totalBytes: file?.bytes, items }
  }
  if (file === undefined) {
    return { totalBytes: undefined, items: (context) => fromLines(untilAborted(process.stdin, context), context) }
  }
  await nothingSentYet(() => check(file, { signal, plainJson, progress }))
  return { totalBytes: file.bytes, items: (context) => fromLines(file.again(), context) }
}

async function* each(items: readonly InputItem[]): AsyncGenerator<InputItem> {
  yield* items
}

async function check(
  file: FileInput,
  { signal, plainJson, progress }: Pick<InputContext, 'signal' | 'plainJson'> & { readonly progress: ProgressBar },
): Promise<void> {
  let doneBytes = 0
  const count = 'nothing sent yet'
  progress.show(() => ({ doneBytes, totalBytes: file.bytes, verb: 'checked', count, isDone: false }))
  const onBytes = (bytes: number): void => {
    doneBytes += bytes
  }
  for await (const _ of fromLines(file.first(), { signal, plainJson, onBytes })) {
    // That it can be read is all that was asked.
  }
}

async function nothingSentYet<Result>(run: () => Promise<Result>): Promise<Result> {
  try {
    return await run()
  } catch (thrown) {
    throw isBadInput(thrown) ? explained(thrown, 'Nothing was sent.', 0) : thrown
  }
}

/** Adds to a complaint about the input what became of the objects before it, and how to go on. */
export function withOutcome(thrown: unknown, sent: number, accepted: number): unknown {
  if (!isBadInput(thrown)) return thrown
  const before =
    sent === 0
      ? 'Nothing was sent.'
      : `Before it ${sent} ${sent === 1 ? 'object was' : 'objects were'} sent, ${accepted} of them accepted; after it none.`
  const advice = 'Fix it, and send the rest from there on. A file (< tasks.ndjson) is checked before anything is sent.'
  return explained(thrown, `${before} ${advice}`, accepted)
}

function isBadInput(thrown: unknown): thrown is ObjectRelayError {
  return thrown instanceof ObjectRelayError && thrown.details.argument === 'input'
}

function explained({ code, message, cause, details }: ObjectRelayError, text: string, accepted: number): Error {
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`
  return createError(code, `${sentence} ${text}`, { cause, details: { ...details, accepted } })
}
