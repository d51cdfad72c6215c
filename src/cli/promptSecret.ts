import { emitKeypressEvents, type Key } from 'node:readline'
import { Interrupted } from './exitCodes.ts'

const charactersMax = 1_024

/** Asks on the terminal without showing what is typed. Only to be called when standard input is a terminal. */
export async function promptSecret(question: string): Promise<string> {
  const { stdin, stderr } = process
  emitKeypressEvents(stdin)
  // Before the question: whoever answers fast must not be shown either.
  stdin.setRawMode(true)
  stderr.write(question)
  stdin.resume()
  try {
    return await untilEnter()
  } finally {
    stdin.setRawMode(false)
    stdin.pause()
    stderr.write('\n')
  }
}

function untilEnter(): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed: string[] = []
    const settle = (finish: () => void): void => {
      process.stdin.off('keypress', onKey)
      finish()
    }
    const onKey = (character: string | undefined, key: Key): void => {
      // In raw mode the terminal makes no signals; these two keys have to do what they always do.
      if (key.ctrl === true && key.name === 'c') settle(() => reject(new Interrupted('SIGINT')))
      else if (key.name === 'return' || key.name === 'enter') settle(() => resolve(typed.join('')))
      else if (key.ctrl === true && key.name === 'd') settle(() => resolve(typed.join('')))
      else if (key.name === 'backspace') typed.pop()
      else if (key.ctrl === true && key.name === 'u') typed = []
      else if (character !== undefined && key.ctrl !== true && key.meta !== true && typed.length < charactersMax) {
        typed.push(character)
      }
    }
    process.stdin.on('keypress', onKey)
  })
}
