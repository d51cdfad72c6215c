import { describe, expect, it } from 'vitest'
import { FakeClock } from '../clock.fixture.ts'
import { addressPrefixes } from '../security/address.ts'
import { LoginRateLimiter } from '../security/loginRateLimiter.ts'
import { LoginQueue, type WaitingLogin } from './loginQueue.ts'

/** A relay's queue, with logins that know the password or guess. */
class World {
  readonly clock = new FakeClock()
  readonly limiter = new LoginRateLimiter(0)
  readonly queue: LoginQueue
  /** Who was let in, and when. */
  readonly welcomed = new Map<string, number>()
  guesses = 0
  told = 0
  refused: string[] = []

  constructor(waitingMax = 512) {
    this.queue = new LoginQueue(this.clock, this.limiter, waitingMax)
  }

  login(name: string, address = '192.0.2.1', answer?: () => void): WaitingLogin {
    const from = addressPrefixes(address)
    const login: WaitingLogin = {
      from,
      answer:
        answer ??
        (() => {
          this.welcomed.set(name, this.clock.nowMs())
          this.queue.succeeded(from)
        }),
      keepWaiting: () => void this.told++,
      refuse: () => void this.refused.push(name),
    }
    this.queue.enter(login)
    return login
  }

  /** A process that guesses in a loop: as soon as one guess was answered the next one comes. */
  guesser(address = '192.0.2.1'): void {
    this.login('guess', address, () => {
      this.guesses++
      this.clock.after(10, () => this.guesser(address))
    })
  }

  /** From how many addresses so many guesses have used up what the limiter gives. */
  exhaust(addresses: number): void {
    for (let index = 0; index < addresses; index++) this.guesser(`198.51.${index >>> 8}.${index & 255}`)
    this.clock.advance(300_000)
  }
}

describe('the logins of a relay', () => {
  it('are let in within seconds beside a process at the same address that guesses in a loop', () => {
    const world = new World()
    world.guesser()
    world.clock.advance(600_000)
    for (let index = 0; index < 10; index++) world.login(`good ${index}`)
    world.clock.advance(4_100)
    expect(world.welcomed.size).toBe(10)
    // And the guesser goes on as slowly as before.
    const { guesses } = world
    world.clock.advance(3_600_000)
    expect(world.guesses - guesses).toBeLessThanOrEqual(1_801)
  })

  it('are let in at once after a restart, though somebody guesses', () => {
    const world = new World()
    world.guesser()
    for (let index = 0; index < 10; index++) world.login(`good ${index}`)
    world.clock.advance(10)
    expect(world.welcomed.size).toBe(10)
  })

  it('wait two seconds for each guess at the same address that is before them', () => {
    const world = new World()
    world.clock.advance(1)
    for (let index = 0; index < 30; index++) world.guesser()
    world.clock.advance(60_000)
    world.login('good')
    world.clock.advance(62_100)
    expect(world.welcomed.has('good')).toBe(true)
  })

  it('are let in from an address that is known, and from one that nobody knows, while hundreds of others guess', () => {
    const world = new World()
    world.limiter.know(addressPrefixes('192.0.2.1'))
    world.exhaust(200)
    world.login('known', '192.0.2.1')
    world.login('known', '192.0.2.1')
    world.clock.advance(1_000)
    expect(world.welcomed.has('known')).toBe(true)
    world.login('unknown', '192.0.2.2')
    world.clock.advance(110_000)
    expect(world.welcomed.has('unknown')).toBe(true)
    const { guesses } = world
    world.clock.advance(600_000)
    expect(world.guesses - guesses).toBeLessThanOrEqual(2_401)
  })

  it('are answered one address after the other', () => {
    const world = new World()
    for (let index = 0; index < 100; index++) world.login(`many ${index}`, '192.0.2.1')
    world.login('one', '192.0.2.2')
    world.clock.step()
    expect([...world.welcomed.keys()]).toEqual(['many 0', 'one', 'many 1', 'many 2'])
  })

  it('are told that they wait, soon and again and again', () => {
    const world = new World()
    for (let index = 0; index < 20; index++) world.login('guess', '192.0.2.1', () => undefined)
    world.login('good')
    world.clock.advance(499)
    expect(world.told).toBe(0)
    world.clock.advance(1_001)
    expect(world.told).toBe(3)
    world.clock.advance(1_000)
    expect(world.welcomed.has('good')).toBe(true)
    world.clock.advance(10_000)
    expect(world.clock.timers).toBe(0)
  })

  it('are bounded: the newest of the address from which most come has to come again', () => {
    const world = new World(10)
    for (let index = 0; index < 20; index++) world.login('spent', '192.0.2.1', () => undefined)
    world.clock.advance(0)
    world.refused = []
    for (let index = 0; index < 9; index++) world.login(`guess ${index}`, '192.0.2.1', () => undefined)
    for (let index = 0; index < 3; index++) world.login(`other ${index}`, `192.0.3.${index}`, () => undefined)
    expect(world.refused).toEqual(['guess 8', 'guess 7'])
    expect(world.queue.size).toBe(10)
  })

  it('leave nothing behind when their connections are gone', () => {
    const world = new World()
    for (let index = 0; index < 20; index++) world.login('guess', '192.0.2.1', () => undefined)
    world.clock.advance(0)
    const waiting = [world.login('a'), world.login('b')]
    world.clock.advance(100)
    for (const login of waiting) world.queue.leave(login)
    for (const login of waiting) world.queue.leave(login)
    expect(world.queue.size).toBe(0)
    expect(world.clock.timers).toBe(0)
  })
})
