import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { host, Network, password } from '../support/network.ts'
import { endPrograms, Program } from '../support/programs.ts'
import { within } from '../support/waiting.ts'

interface ManySends {
  events: number
  told: number
  accepted: number
  refused: number
  grownMiB: number
  lateMs: number
}

/** What an endpoint does to the process that it is in: its warnings, its exit code, its end. */
export function processesContract(io: 'thread' | 'inline'): void {
  describe('in a process of its own', () => {
    const network = new Network(io)
    let settings: object
    beforeAll(async () => {
      const relay = await network.relay()
      settings = {
        options: { host, port: relay.port, password, io },
        wrong: { host, port: relay.port, password: 'wrong', io },
      }
    })
    afterEach(endPrograms)
    afterAll(() => network.end())

    /** Runs a program to its end. */
    async function run(source: string): Promise<{ code: number | null; errors: string }> {
      const program = new Program(source, settings)
      const { code } = await within(program.exited, 'the end of the program', 30_000)
      return { code, errors: program.errors }
    }

    it('an endpoint that is refused for good, which nobody handles, is a warning and sets the exit code', async () => {
      const { code, errors } = await run(`
        const endpoint = new Endpoint({ ...settings.wrong, groups: 'g' })
        endpoint.work('g', () => undefined)`)
      expect(errors).toContain('[WRONG_PASSWORD]')
      expect(errors).toContain('The exit code of the program is set to 1.')
      expect(errors).toContain("endpoint.on('error'")
      expect(errors.match(/ObjectRelayWarning/g)?.length).toBe(1)
      expect(code).toBe(1)
    })

    it('also if it sent something and was stopped, since that does not say why', async () => {
      const { code, errors } = await run(`
        const endpoint = new Endpoint(settings.wrong)
        void endpoint.produce('object', 'g')
        await endpoint.stop()`)
      expect(errors).toContain('[WRONG_PASSWORD]')
      expect(code).toBe(1)
    })

    it.each([
      ['an error listener', `new Endpoint(settings.wrong).on('error', () => say('heard'))`],
      ['a listener of disconnected', `new Endpoint(settings.wrong).on('disconnected', () => say('heard'))`],
      ['a listener in the option on', `new Endpoint({ ...settings.wrong, on: { error: () => say('heard') } })`],
      ['connect, whose rejection is caught', `await Endpoint.connect(settings.wrong).catch(() => say('heard'))`],
      [
        'a call that waits for objects',
        `await new Endpoint({ ...settings.wrong, groups: 'g' }).pop({ blocking: true }).catch(() => say('heard'))`,
      ],
    ])('a refusal that is handled by %s is left to the program', async (_, source) => {
      expect(await run(source)).toEqual({ code: 0, errors: '' })
    })

    it('leaves an exit code alone that the program has set', async () => {
      const { code, errors } = await run(`process.exitCode = 7; new Endpoint(settings.wrong)`)
      expect(errors).toContain('[WRONG_PASSWORD]')
      expect(errors).not.toContain('exit code')
      expect(code).toBe(7)
    })

    it('an error that nobody listens to is one warning for each code, and does not end the program', async () => {
      const { code, errors } = await run(`
        const endpoint = await Endpoint.connect({ ...settings.options, groups: 'g' })
        for (let count = 0; count < 3; count++) void endpoint.produce(() => 1, 'g')
        await endpoint.notify('another').catch(() => undefined)
        let failed
        const handled = new Promise((resolve) => (failed = resolve))
        endpoint.work('g', () => { failed(); throw new Error('a broken handler') })
        await endpoint.produce('task', 'g')
        await handled
        await new Promise((resolve) => setTimeout(resolve, 50))
        await endpoint.stop()`)
      for (const code of ['NOT_SERIALIZABLE', 'NOT_A_MEMBER', 'HANDLER_FAILED']) {
        expect(errors.split(`[${code}]`).length).toBe(2)
      }
      expect(errors).toContain('a broken handler')
      expect(errors).toContain(`of the relay at ${host}:`)
      expect(code).toBe(0)
    })

    it('a million sends that nobody awaits take bounded memory and events, and then the program goes on', async () => {
      const program = new Program(
        `
        const endpoint = await Endpoint.connect(settings.options)
        let events = 0
        let told = 0
        endpoint.on('error', ({ details: { count = 1 } }) => { events++; told += count })
        let accepted = 0
        let refused = 0
        const object = { text: 'x'.repeat(300) }
        const before = process.memoryUsage().rss
        for (let index = 0; index < 1_000_000; index++)
          endpoint.produce(object, 'many').then(() => accepted++, () => refused++)
        const grownMiB = (process.memoryUsage().rss - before) / 1024 ** 2
        const ended = performance.now()
        await new Promise((resolve) => setTimeout(resolve))
        const lateMs = performance.now() - ended
        await endpoint.stop({ deadlineMs: 60_000 })
        say('result', { events, told, accepted, refused, grownMiB, lateMs })`,
        settings,
      )
      const heard = await program.heard('result', 60_000)
      // What the program above says.
      const { events, told, accepted, refused, grownMiB, lateMs } = heard as ManySends
      expect(accepted + refused).toBe(1_000_000)
      expect(told).toBe(refused)
      expect(refused).toBeGreaterThan(500_000)
      expect(events).toBeLessThan(100)
      // With a reaction of the program to each; before, 593 280 errors and as many events took 1.2 GiB.
      expect(grownMiB).toBeLessThan(700)
      expect(lateMs).toBeLessThan(20_000)
    })

    it('an endpoint without unref keeps the process alive; with it, the process ends', async () => {
      const alive = new Program(`await Endpoint.connect(settings.options); say('connected')`, settings)
      await alive.heard('connected')
      const { code, errors } = await run(`
        const endpoint = await Endpoint.connect({ ...settings.options, groups: 'g' })
        void endpoint.pop({ blocking: true, timeoutMs: 60_000 })
        endpoint.unref()`)
      expect({ code, errors }).toEqual({ code: 0, errors: '' })
      expect(alive.alive).toBe(true)
    })

    it('one that tries in vain to connect does not keep the process alive with unref either', async () => {
      expect(await run(`new Endpoint({ ...settings.options, port: 1 }).unref()`)).toEqual({ code: 0, errors: '' })
    })

    it('ref takes unref back, and one endpoint is enough to keep the process alive', async () => {
      const again = new Program(
        `const endpoint = await Endpoint.connect(settings.options); endpoint.unref().unref().ref(); say('connected')`,
        settings,
      )
      const two = new Program(
        `
        const one = await Endpoint.connect(settings.options)
        const other = await Endpoint.connect(settings.options)
        one.unref()
        say('connected')
        process.on('SIGTERM', () => other.stop())`,
        settings,
      )
      await again.heard('connected')
      await two.heard('connected')
      // A process that nothing keeps alive is gone by the time another one has run to its end.
      await run(`(await Endpoint.connect(settings.options)).unref()`)
      expect([again.alive, two.alive]).toEqual([true, true])
      two.kill('SIGTERM')
      expect(await within(two.exited, 'the end of the program')).toEqual({ code: 0, signal: null })
    })

    it('a stop is waited for, whatever unref said', async () => {
      const { code, errors } = await run(`
        const endpoint = await Endpoint.connect(settings.options)
        endpoint.unref()
        const sent = endpoint.produce('last words', 'words')
        await endpoint.stop()
        await sent`)
      expect({ code, errors }).toEqual({ code: 0, errors: '' })
    })
  })
}
