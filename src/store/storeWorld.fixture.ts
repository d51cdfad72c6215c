import { afterEach, beforeEach } from 'vitest'
import type { Store } from './store.ts'

/** A store under test, and the world around it. */
export interface StoreWorld {
  readonly store: Store
  /** Waits until the promise is settled, and lets happen meanwhile what that needs. */
  settle<T>(promise: Promise<T>): Promise<T>
  /** The relay is killed, and started again: another store, with what the first had committed. */
  restart(): Promise<Store>
  /** The test is over. */
  end(): Promise<void>
}

/** What a kind of store does. */
export interface StoreKind {
  /** Whether anything is left when the relay was killed. */
  readonly isDurable: boolean
  open(): Promise<StoreWorld>
  /** How many random histories a test may take. */
  readonly histories?: number
}

/** The world of the test that runs. */
export interface WorldInUse {
  readonly world: StoreWorld
  /** All that was told is kept. */
  committed(): Promise<void>
}

/** Opens a world for each test. */
export function useWorld({ open }: StoreKind): WorldInUse {
  const used: { world: StoreWorld | undefined } = { world: undefined }
  beforeEach(async () => {
    used.world = await open()
  })
  afterEach(() => used.world?.end())
  return {
    get world() {
      if (used.world === undefined) throw new Error('No test is running.')
      return used.world
    },
    async committed() {
      const kept = this.world.store.commit()
      if (kept !== undefined) await this.world.settle(kept)
    },
  }
}
