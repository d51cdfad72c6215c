import type { ErrorCode, ObjectRelayError } from './errors.ts'

/**
 * Errors that nobody listens to end no program, and are not silent either: the first of each code is a warning, which Node.js
 * prints (`node --trace-warnings` says where from, `process.on('warning')` hears it).
 */
export class UnheardErrors {
  readonly #whose: string
  readonly #told = new Set<ErrorCode>()

  /** `whose`: what had the error, and what it is called in a program, as in `endpoint`. */
  constructor(whose: string) {
    this.#whose = whose
  }

  tell(error: ObjectRelayError, where: string, consequence = ''): void {
    const { code, message } = error
    if (this.#told.has(code)) return
    this.#told.add(code)
    const whose = this.#whose
    const text = `${message}${consequence} Nothing listens to the errors of this ${whose} (${where}), and further ones of this code are not printed: add ${whose}.on('error', (error) => ...).`
    process.emitWarning(text, { type: 'ObjectRelayWarning', code })
  }
}

/** The program goes on without something that ended for good: whoever started it has to learn that it did not succeed. */
export function failExitCode(): boolean {
  if (process.exitCode !== undefined) return false
  process.exitCode = 1
  return true
}
