import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { main, Workshop } from '../scenarios/cliProcesses.ts'

const run = promisify(execFile)
let workshop: Workshop

beforeAll(async () => {
  workshop = await Workshop.open()
})
afterAll(() => workshop.close())

/**
 * Runs a command on a terminal of so many columns, which only Python can make here, and answers with what it wrote there, and how
 * it ended. With `hangupAt` the command is sent SIGHUP when it has written that, and the terminal is closed when it has answered.
 */
const terminal = `
import json, os, pty, signal, struct, sys, fcntl, termios
columns, hangup, *command = sys.argv[1:]
child, master = pty.fork()
if child == 0:
    os.execvp(command[0], command)
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', 25, int(columns), 0, 0))
written = b''
while True:
    try:
        chunk = os.read(master, 65536)
    except OSError:
        break
    if not chunk:
        break
    written += chunk
    if hangup and hangup.encode() in written:
        os.kill(child, signal.SIGHUP)
        hangup = ''
    if b'keysReloaded' in written:
        break
os.close(master)
_, status = os.waitpid(child, 0)
print(json.dumps([written.decode(errors='replace'), os.waitstatus_to_exitcode(status)]))
`

async function onTerminal(columns: number, parameters: readonly string[], hangupAt = ''): Promise<[string, number]> {
  const command = [process.execPath, main, ...parameters]
  const { stdout } = await run('python3', ['-c', terminal, String(columns), hangupAt, ...command], {
    env: workshop.environment,
    maxBuffer: 64 * 1024 * 1024,
  })
  return JSON.parse(stdout)
}

/** The lines of a progress bar, one for each time that it was drawn. */
function drawn(text: string): readonly string[] {
  return text
    .split('\r')
    .filter((line) => line.endsWith('\u001b[K'))
    .map((line) => line.slice(0, -3))
    .filter((line) => line !== '')
}

describe('on a terminal', () => {
  it('the progress of one large file is that of its arrival, as wide as the terminal', async () => {
    // What the relay may take at once is little, so that it takes its time.
    const relay = await workshop.relay(['--limit', 'bulkWindowBytes=64KiB'])
    await writeFile(workshop.path('large'), Buffer.alloc(400_000_000))
    const send = ['produce', '-p', relay.port, '-g', 'large', '--file', workshop.path('large')]
    const [sent, code] = await onTerminal(120, send)
    expect(code, sent).toBe(0)
    const lines = drawn(sent).filter((line) => line.includes('sent'))
    const percents = lines.map((line) => Number(/ (\d+)%/.exec(line)?.[1]))
    expect(percents.length).toBeGreaterThan(2)
    expect(percents).toEqual([...percents].sort((left, right) => left - right))
    expect(percents.some((percent) => percent > 0 && percent < 99)).toBe(true)
    for (const line of lines) expect(line).toMatch(/^\[[#.]{40}\] \d+%, .* of 381\.5 MiB sent, 0 accepted, /)
    const receive = ['receive', '-p', relay.port, '-g', 'large', '-n', '1', '--output-dir', workshop.path('received')]
    const [received] = await onTerminal(60, receive)
    const arriving = drawn(received).filter((line) => line.includes('arriving'))
    expect(arriving.length).toBeGreaterThan(0)
    for (const line of arriving) expect(line.length).toBeLessThan(60)
  })

  it('a relay reads its keys again at SIGHUP, and ends when the terminal is closed', async () => {
    const [text, code] = await onTerminal(80, ['relay', '--port', '0', '--host', '127.0.0.1', '--json'], '"listening"')
    expect(text).toContain('"keysReloaded"')
    // Ended by the signal, once it had stopped.
    expect(code).toBe(-1)
  })
})
