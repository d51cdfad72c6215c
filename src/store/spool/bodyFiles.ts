/**
 * Where the bodies of large objects are written: one file for each, with a name that its store gives it. Writes and reads are
 * asynchronous; whatever the operating system says is the reason of a rejection.
 */
export interface BodyFiles {
  /** Makes an empty file, private to the user. There is none of that name. */
  create(name: string): Promise<BodyFile>
  /** Opens a file that an earlier run has written. */
  open(name: string): Promise<BodyFile>
  /** Removes a file that is not open. One that is not there is as good as removed. */
  remove(name: string): Promise<void>
  /** What is there, with its size in bytes. Files that nobody can have after a restart need not be told. */
  list(): Promise<ReadonlyMap<string, number>>
  /** Closes all files that are open, when what is under way in them is done. They cannot be used any more. */
  close(): Promise<void>
}

/** One file. It is read and written at the same time, at different places. */
export interface BodyFile {
  /** Writes all of `parts`, one behind the other, from `offset` on. They are not changed until it is done. */
  write(offset: number, parts: readonly Buffer[]): Promise<void>
  /** Fills `into` with the bytes from `offset` on. Rejects if there are not so many. */
  read(offset: number, into: Buffer): Promise<void>
  /** Makes what was written as safe as the folder's owner wants it, its name in the folder included. */
  sync(): Promise<void>
  close(): Promise<void>
}
