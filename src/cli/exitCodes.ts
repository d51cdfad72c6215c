import { type ErrorCategory, ObjectRelayError } from '../errors.ts'

/** How the commands end; docs/cli.md lists the same. */
export const exitCodes = {
  success: 0,
  unexpected: 1,
  usage: 2,
  refused: 3,
  link: 4,
  full: 5,
  interrupted: 130,
  terminated: 143,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

const byCategory: Readonly<Record<ErrorCategory, ExitCode>> = {
  misuse: exitCodes.usage,
  refused: exitCodes.refused,
  peer: exitCodes.unexpected,
  link: exitCodes.link,
  full: exitCodes.full,
}

/** A signal ended the command before it was through; not an error, but no success either. */
export class Interrupted extends Error {
  readonly exitCode: ExitCode

  constructor(signal: InterruptSignal) {
    super(`Interrupted by ${signal}.`)
    this.name = 'Interrupted'
    this.exitCode = signal === 'SIGINT' ? exitCodes.interrupted : exitCodes.terminated
  }
}

export type InterruptSignal = 'SIGINT' | 'SIGTERM'

/** The exit code for what a command threw. */
export function exitCodeOf(thrown: unknown): ExitCode {
  if (thrown instanceof Interrupted) return thrown.exitCode
  return thrown instanceof ObjectRelayError ? byCategory[thrown.category] : exitCodes.unexpected
}
