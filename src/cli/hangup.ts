import { isatty } from 'node:tty'

/** What a relay does when it is sent SIGHUP. */
export interface HangupActions {
  /** Somebody asks it to read its files again. */
  reload(): void
  /** Its terminal was closed. */
  end(): void
}

/** Listens to SIGHUP; returns what ends that. On Windows, where the signal only says that the console is closed, it does not. */
export function onHangup({ reload, end }: HangupActions): () => void {
  if (process.platform === 'win32') return () => undefined
  const terminals = [0, 1, 2].filter((descriptor) => isatty(descriptor))
  const listener = (): void => {
    // The same signal is sent to a service by hand, and to a program whose terminal is gone; then that is no terminal any more.
    const isTerminalGone = terminals.length > 0 && !terminals.some((descriptor) => isatty(descriptor))
    if (isTerminalGone) end()
    else reload()
  }
  process.on('SIGHUP', listener)
  return () => void process.off('SIGHUP', listener)
}
