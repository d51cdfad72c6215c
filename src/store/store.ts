/** An OBJECT frame that a store keeps, as it came, with the relay's stamps in it. The store may move it while it is kept. */
export interface KeptFrame {
  readonly bytes: number
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

/** Where a relay keeps the frames of objects that wait, are leased or were broadcast last. */
export interface Store {
  /** Keeps a copy of the frame; the bytes may be reused after the call. */
  keep(buffer: Buffer, start: number, end: number): KeptFrame
  /** The frame is needed no more. */
  release(frame: KeptFrame): void
  /** Whether much of the memory lies unused between the kept frames, so that it is worth the work to move them together. */
  readonly isSparse: boolean
  /** Moves kept frames together; `kept` are all of them, some more than once. */
  moveTogether(kept: Iterable<KeptFrame>): void
  /** Memory that the kept frames take, theirs and what lies unused between them. */
  readonly memoryBytes: number
}

/**
 * What the option `store` of a relay takes: names a module and what to give it, because the relay opens its store in a
 * thread of its own.
 */
export interface StoreDescriptor {
  /** The URL of a module with `openStore(options): Store`. */
  readonly module: string
  readonly options: Readonly<Record<string, unknown>>
}
