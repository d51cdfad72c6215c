import type { PlainError } from '../errors.ts'
import {
  finishLogin,
  type LoginComputation,
  type LoginResult,
  type PasswordRecord,
  registerPassword,
} from './passwordLogin.ts'
import type { KeyStretching } from './proofMessages.ts'

/** What takes password stretching. */
export type LoginTask =
  | { readonly kind: 'finish'; readonly computation: LoginComputation }
  | { readonly kind: 'register'; readonly password: string; readonly stretching: KeyStretching }

export type LoginValue = LoginResult | PasswordRecord | undefined

export interface LoginThreadRequest {
  readonly id: number
  readonly task: LoginTask
}

export type LoginThreadReply =
  | { readonly id: number; readonly value: LoginValue }
  | { readonly id: number; readonly error: PlainError }

/** To be called on a thread that may be busy for seconds. */
export function runTask(task: LoginTask): LoginValue {
  return task.kind === 'finish' ? finishLogin(task.computation) : registerPassword(task.password, task.stretching)
}
