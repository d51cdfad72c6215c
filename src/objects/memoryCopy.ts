/**
 * Copies all of `source` to `position` of `target`.
 *
 * Node has several ways to copy, and between ordinary memory and shared memory they differ by a factor of 20: `set` and
 * `copy` go word by word there (17 µs for 64 KiB), while `fill` with bytes as its pattern is one memcpy (0.7 µs).
 */
export function copyBytes(target: Buffer, position: number, source: Uint8Array): void {
  // A pattern without bytes is refused.
  if (source.length > 0) target.fill(source, position, position + source.length)
}
