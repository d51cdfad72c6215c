import { ObjectRelayError, type PlainError } from '../errors.ts'
import { inCommandWords } from './commandWords.ts'
import { Interrupted } from './exitCodes.ts'

const causesMax = 5

/** Whoever read standard output is gone, as in `objectrelay receive | head -1`: the command is at its end. */
export class OutputClosed extends Error {
  constructor() {
    super('Nobody reads standard output any more.')
    this.name = 'OutputClosed'
  }
}

/** How a command speaks: results on standard output, everything else on standard error. */
export class Output {
  readonly json: boolean
  readonly verbose: boolean

  constructor({ json, verbose }: { readonly json: boolean; readonly verbose: boolean }) {
    this.json = json
    this.verbose = verbose
    // A reader that is gone is reported by the callback of the write.
    process.stdout.on('error', () => undefined)
    process.stderr.on('error', () => undefined)
  }

  /** Resolves when the operating system has it; rejects with {@link OutputClosed} when nobody reads any more. */
  write(chunk: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      process.stdout.write(chunk, (error) => {
        if (error === null || error === undefined) resolve()
        else reject('code' in error && error.code === 'EPIPE' ? new OutputClosed() : error)
      })
    })
  }

  /** A result: as JSON with `--json`, else as text for people. */
  async result(value: object, text: string): Promise<void> {
    await this.write(this.json ? `${JSON.stringify(value)}\n` : text === '' ? '' : `${text}\n`)
  }

  /** A remark for people; with `--json` there is none. */
  note(text: string): void {
    if (!this.json) process.stderr.write(`${inCommandWords(text)}\n`)
  }

  warn(text: string): void {
    const message = inCommandWords(text)
    process.stderr.write(
      this.json ? `${JSON.stringify({ warning: { message } })}\n` : `warning: ${printable(message)}\n`,
    )
  }

  /** Reports what ended the command, or one of its parts. */
  error(thrown: unknown): void {
    process.stderr.write(`${describeError(thrown, this)}\n`)
  }
}

/** An error as the commands print it: one line of JSON, or text without a stack trace for what is to be expected. */
export function describeError(
  thrown: unknown,
  { json, verbose }: { readonly json: boolean; readonly verbose: boolean },
): string {
  if (json) return JSON.stringify({ error: errorFields(thrown, verbose) })
  if (thrown instanceof Interrupted) return 'interrupted'
  if (thrown instanceof ObjectRelayError) {
    return [`error: ${printable(messageOf(thrown))} (${thrown.code})`, ...(verbose ? causesOf(thrown) : [])].join('\n')
  }
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const hint = 'This should not happen; please report it with what --verbose prints.'
  return verbose ? `unexpected error: ${error.stack ?? error.message}` : `unexpected error: ${error.message}\n${hint}`
}

function errorFields(thrown: unknown, verbose: boolean): object {
  if (thrown instanceof Interrupted) return { code: 'INTERRUPTED', message: thrown.message }
  if (!(thrown instanceof ObjectRelayError)) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    return { code: 'UNEXPECTED', message: error.message, ...(verbose ? { stack: error.stack } : {}) }
  }
  const { code, category, retryable, details } = thrown
  const message = messageOf(thrown)
  const causes = verbose ? { causes: causesOf(thrown).map((line) => line.trim()) } : {}
  return { code, category, message, retryable, details, ...causes }
}

/** What names its source is worded already, and may be about a name in a config file. */
function messageOf({ message, details }: ObjectRelayError): string {
  return details.source === undefined ? inCommandWords(message) : message
}

function causesOf(error: Error): readonly string[] {
  const lines: string[] = []
  for (let cause = error.cause; cause !== undefined && lines.length < causesMax; ) {
    lines.push(
      `  caused by: ${cause instanceof Error ? `${cause.name}: ${inCommandWords(cause.message)}` : String(cause)}`,
    )
    cause = cause instanceof Error ? cause.cause : undefined
  }
  return lines
}

/** An error that crossed a thread or the wire, for a log line. */
export function describePlainError({ code, message }: PlainError): string {
  return `${inCommandWords(message)} (${code})`
}

/** Text from outside, made harmless for a terminal. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '\uFFFD')
}
