import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Workshop } from './cliProcesses.ts'

let workshop: Workshop
let port: string
let fingerprint: string

beforeAll(async () => {
  workshop = await Workshop.open()
  const relay = await workshop.relay(['--accept', 'full:4:2:reject', '--accept', 'a', '--accept', 'b', '--accept', 'c'])
  port = relay.port
  fingerprint = relay.fingerprint
})
afterAll(() => workshop.close())

describe('produce and receive', () => {
  it('move the lines of standard input through the queue of a group, in order', async () => {
    const lines = Array.from({ length: 3_000 }, (_, index) => JSON.stringify({ index, text: 'é\u2028' }))
    const sent = await workshop.run(['produce', '-p', port, '-g', 'a', '--json'], {
      input: `${lines.join('\r\n')}\n\n`,
    })
    expect(sent).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(sent.stdout)).toMatchObject({ accepted: 3_000, rejected: 0, members: { a: 0 } })
    const received = await workshop.run(['receive', '-p', port, '-g', 'a', '--count', '3000'])
    expect(received.code).toBe(0)
    expect(received.stdout).toBe(`${lines.join('\n')}\n`)
  })

  it('keep what JSON has no form for', async () => {
    const objects = [
      '{"array":{"$type":"Float32Array","base64":"AACAPw=="},"when":{"$type":"Date","value":"2020-01-02T03:04:05.678Z"}}',
      '[{"$type":"BigInt","value":"-7"},{"$type":"undefined"},{"$type":"number","value":"NaN"}]',
    ]
    expect(await workshop.run(['produce', '-p', port, '-g', 'b', ...objects])).toMatchObject({ code: 0, stdout: '' })
    const received = await workshop.run(['receive', '-p', port, '-g', 'b', '-n', '2'])
    expect(received).toMatchObject({ code: 0, stdout: `${objects.join('\n')}\n` })
  })

  it('take exactly as many as were asked for and leave the others in the queue', async () => {
    await workshop.run(['produce', '-p', port, '-g', 'b', '1', '2', '3'])
    const first = await workshop.run(['receive', '-p', port, '-g', 'b', '--count', '2'])
    expect(first.stdout).toBe('1\n2\n')
    const rest = await workshop.run([
      'receive',
      '-p',
      port,
      '-g',
      'b',
      '--notify',
      'all',
      '--timeout',
      '300ms',
      '--json',
    ])
    expect(rest.code).toBe(0)
    expect(JSON.parse(rest.stdout)).toMatchObject({ object: 3, group: 'b', kind: 'produce', attempt: 1 })
  })

  it('end with 4 when the objects do not come in time', async () => {
    const { code, stderr } = await workshop.run([
      'receive',
      '-p',
      port,
      '-g',
      'b',
      '-n',
      '1',
      '--timeout',
      '200ms',
      '--json',
    ])
    expect(code).toBe(4)
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'TIMEOUT', details: { received: 0, count: 1 } } })
  })

  it('report what a full queue does not accept, by line, with 5', async () => {
    const { code, stdout, stderr } = await workshop.run(['produce', '-p', port, '-g', 'full', '--json'], {
      input: '1\n2\n3\n',
    })
    expect(code).toBe(5)
    expect(JSON.parse(stdout)).toMatchObject({ accepted: 2, rejected: 1 })
    const [warning = '', error = ''] = stderr.trim().split('\n')
    expect(JSON.parse(warning).warning.message).toMatch(/^line 3 was not accepted/)
    expect(JSON.parse(error).error).toMatchObject({ code: 'QUEUE_FULL', details: { accepted: 2, rejected: 1 } })
  })

  it('name the line of a pipe that is not JSON, what was sent before it, and what to do', async () => {
    const { code, stderr } = await workshop.run(['produce', '-p', port, '-g', 'c', '--json'], {
      input: '1\n{"a":\n2\n',
    })
    expect(code).toBe(2)
    const { error } = JSON.parse(stderr)
    expect(error.message).toMatch(
      /Line 2 is not JSON: .*Before it 1 object was sent, 1 of them accepted; after it none/,
    )
    expect(error.details).toMatchObject({ where: 'line 2', accepted: 1 })
    expect((await workshop.run(['receive', '-p', port, '-g', 'c', '-n', '1'])).stdout).toBe('1\n')
  })

  it.skipIf(process.platform === 'win32')('send nothing of arguments or of a file when one object is bad', async () => {
    await writeFile(workshop.path('bad.ndjson'), '1\n\n{"$type":"Date","value":"x"}\n')
    const file = await workshop.shell(`$objectrelay produce -p ${port} -g c < bad.ndjson`)
    expect(file.code).toBe(2)
    expect(file.stderr).toMatch(/^error: Line 3 is refused: .*Nothing was sent\. \(INVALID_ARGUMENT\)$/m)
    const argument = await workshop.run(['produce', '-p', port, '-g', 'c', '1', '{'])
    expect(argument.code).toBe(2)
    expect(argument.stderr).toMatch(/Argument 2 is not JSON: .*Nothing was sent/)
    const rest = await workshop.run(['receive', '-p', port, '-g', 'c', '--notify', 'all', '--timeout', '300ms'])
    expect(rest).toMatchObject({ code: 0, stdout: '' })
  })

  it.skipIf(process.platform === 'win32')('send a file from where it stands, all of it and in order', async () => {
    const lines = Array.from({ length: 40_000 }, (_, index) => JSON.stringify({ index, text: 'x'.repeat(40) }))
    await writeFile(workshop.path('lines.ndjson'), `not JSON\n${lines.join('\n')}`)
    const sent = await workshop.shell(`{ read -r first; $objectrelay produce -p ${port} -g c --json; } < lines.ndjson`)
    expect(sent.code, sent.stderr).toBe(0)
    expect(JSON.parse(sent.stdout)).toMatchObject({ accepted: 40_000 })
    const received = await workshop.run(['receive', '-p', port, '-g', 'c', '-n', '40000'])
    expect(received.stdout === `${lines.join('\n')}\n`).toBe(true)
  })

  it.runIf(process.platform === 'linux')('end when nobody reads on, although nothing more comes', async () => {
    await workshop.run(['produce', '-p', port, '-g', 'c', '"first"'])
    const { code, stdout, stderr } = await workshop.shell(`$objectrelay receive -p ${port} -g c | head -n 1`)
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '"first"\n', stderr: '' })
    await workshop.run(['produce', '-p', port, '-g', 'c', '"second"'])
    const next = await workshop.run(['receive', '-p', port, '-g', 'c', '-n', '1', '--timeout', '10s', '--json'])
    expect(JSON.parse(next.stdout)).toMatchObject({ object: 'second', attempt: 1 })
    // The output of a program that was started by another one is no pipe, but a socket.
    const receive = workshop.start(['receive', '-p', port, '-g', 'c'])
    await workshop.run(['broadcast', '-p', port, '-g', 'c', '"third"'])
    await receive.untilSaid(/"third"/)
    receive.child.stdout.destroy()
    expect((await receive.outcome).code).toBe(0)
  })

  it('give back what was not written when the reader leaves', async () => {
    await workshop.run(['produce', '-p', port, '-g', 'c', ...Array.from({ length: 50 }, (_, index) => String(index))])
    const receive = workshop.start(['receive', '-p', port, '-g', 'c', '-n', '60'])
    receive.child.stdin.end()
    receive.child.stdout.destroy()
    expect((await receive.outcome).code).toBe(0)
    const rest = await workshop.run(['receive', '-p', port, '-g', 'c', '--notify', 'all', '--timeout', '500ms'])
    expect(rest.stdout.split('\n').length).toBeGreaterThanOrEqual(50)
  })

  it('end with 0 on SIGINT without a count, and with 130 before the count', async () => {
    for (const [parameters, code] of [
      [[], 0],
      [['--count', '5'], 130],
    ] as const) {
      const receive = workshop.start(['receive', '-p', port, '-g', 'b', '--notify', 'none', ...parameters])
      await workshop.run(['broadcast', '-p', port, '-g', 'b', '"hello"'])
      await receive.untilSaid(/"hello"/)
      receive.child.kill('SIGINT')
      expect((await receive.outcome).code).toBe(code)
    }
  })

  it('stop reading an input that does not end when a signal comes', async () => {
    const produce = workshop.start(['produce', '-p', port, '-g', 'a', '--json'])
    produce.child.stdin.write('"waits"\n')
    const receive = await workshop.run(['receive', '-p', port, '-g', 'a', '-n', '1', '--timeout', '10s'])
    expect(receive.stdout).toBe('"waits"\n')
    produce.child.kill('SIGTERM')
    const { code, stdout } = await produce.outcome
    expect(code).toBe(143)
    expect(JSON.parse(stdout)).toMatchObject({ accepted: 1, rejected: 0 })
  })
})

describe('what is refused', () => {
  it('ends with 3: a wrong password, a group that is not accepted, another fingerprint', async () => {
    const wrong = await workshop.run(['produce', '-p', port, '-g', 'a', '1'], {
      environment: { OBJECTRELAY_PASSWORD: 'another-one-entirely-77' },
    })
    expect(wrong.code).toBe(3)
    expect(wrong.stderr).toMatch(/WRONG_PASSWORD/)
    expect(wrong.stderr).not.toMatch(/another-one|\n\s+at /)
    const group = await workshop.run(['receive', '-p', port, '-g', 'elsewhere', '--json'])
    expect(group.code).toBe(3)
    expect(JSON.parse(group.stderr).error.code).toBe('GROUP_NOT_ACCEPTED')
    const other = await workshop.run([
      'keys',
      'fetch',
      '-p',
      port,
      '--fingerprint',
      'ab'.repeat(32),
      '--out',
      workshop.path('no.pem'),
    ])
    expect(other.code).toBe(3)
    expect(other.stderr).toMatch(/CERTIFICATE_UNTRUSTED/)
  })

  it('ends with 4 when nothing listens', async () => {
    const { code, stderr } = await workshop.run(['broadcast', '-p', '1', '-g', 'a', '1', '--connect-timeout', '200ms'])
    expect(code).toBe(4)
    expect(stderr).toMatch(/CONNECT_TIMEOUT/)
  })

  it('ends with 2 and says who gave the bad value', async () => {
    const usage = async (parameters: readonly string[], environment: Record<string, string> = {}): Promise<string> => {
      const { code, stderr } = await workshop.run(parameters, { environment })
      expect(code, stderr).toBe(2)
      return stderr
    }
    const send = ['produce', '-g', 'a', '1']
    expect(await usage(send)).toMatch(/--port is missing/)
    expect(await usage(send, { OBJECTRELAY_PORT: '70000' })).toMatch(/error: The variable OBJECTRELAY_PORT is 70000; /)
    expect(await usage([...send, '--port', 'x'], { OBJECTRELAY_PORT: '1' })).toMatch(/error: --port is "x"; /)
    expect(await usage([...send, '-p', '1', '--limit', 'inboxBytesMax=1kg'])).toMatch(/"1kg".*--limit|--limit.*"1kg"/)
    expect(await usage([...send, '--prot', '1'])).toMatch(/unknown option '--prot' \(Did you mean --port/)
    expect(await usage([...send, '--password=hunter2'])).toMatch(/no --password(?!.*hunter2)/s)
    expect(await usage([...send, '-p', '1'], { OBJECTRELAY_PASSWORD: '' })).toMatch(/No password/)
    expect(await usage([...send, '-p', '1', '--json', '--file', 'x'])).toMatch(/^\{"error":\{"code":"INVALID_OPTION"/)
    expect(await usage(['relay', '--port', port, '--host', '127.0.0.1'])).toMatch(/PORT_IN_USE/)
    expect(await usage(['nonsense'])).toMatch(/unknown command/)
  })
})

describe('keys fetch', () => {
  it('shows the fingerprint that the relay printed, and writes the certificate that verifies it', async () => {
    const out = workshop.path('endpoint', 'certificate.pem')
    const fetched = await workshop.run([
      'keys',
      'fetch',
      '-p',
      port,
      '--out',
      out,
      '--fingerprint',
      fingerprint.toLowerCase(),
      '--json',
    ])
    expect(fetched.code, fetched.stderr).toBe(0)
    expect(JSON.parse(fetched.stdout)).toMatchObject({ fingerprint256: fingerprint, checked: true, path: out })
    const verified = ['--keys-dir', workshop.path('endpoint'), '--hostname', 'localhost']
    expect(await workshop.run(['produce', '-p', port, '-g', 'b', ...verified, '"verified"'])).toMatchObject({ code: 0 })
    expect((await workshop.run(['receive', '-p', port, '-g', 'b', ...verified, '-n', '2'])).stdout).toMatch(
      /"verified"/,
    )
    const wrongName = ['--keys-dir', workshop.path('endpoint'), '--hostname', 'elsewhere.example']
    expect(await workshop.run(['produce', '-p', port, '-g', 'b', ...wrongName, '1'])).toMatchObject({ code: 3 })
  })
})
