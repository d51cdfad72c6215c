/** How one side tells the other that there is something to read, or room to write; and passes large memory on. */
export interface Waker {
  wake(): void
  /** Lets the other side read now, within this call. Absent where it is on another thread, or must not be called from here. */
  wakeNow?(): void
  /** Passes memory to the other side; it is no longer usable here (`io: 'inline'`: must not be used any more). */
  sendAttachment(id: number, buffers: readonly ArrayBuffer[]): void
  /** Takes what the other side passed under this id. It was passed before the record that names it. */
  takeAttachment(id: number): readonly ArrayBuffer[]
  /** Called when the other side wakes this one. */
  onWake: () => void
}
