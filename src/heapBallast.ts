/** Much for a program that receives few arrays, and nothing for one that receives many. */
const BALLAST_BYTES = 4 * 1024 * 1024
/** Before this much came, no collection of the whole heap is due because of it. */
const COUNTED_BYTES_MIN = 16 * 1024 * 1024

let ballast: readonly number[] | undefined
let countedBytes = 0

/**
 * Takes note of memory that was allocated for arrays of the program, and after some of it makes the heap heavier.
 *
 * V8 collects the whole heap when what was allocated since the last time, the memory of arrays included, comes to about
 * three times what lives in the heap; and the young objects alone, which costs a fraction and finds such arrays as well, when
 * theirs comes to 32 MiB. In a program with little more than this library in it (8.8 MB on Node.js 20) the former came first:
 * every 27 MB, at about 15 ms of processor time on all threads, not much less than decrypting them. With some numbers more in its
 * heap, which are neither looked at nor moved, the latter does. In a larger program it does anyway.
 */
export function countArrayMemory(bytes: number): void {
  if (ballast !== undefined) return
  countedBytes += bytes
  // Fractions: so they lie in one piece of memory without pointers, which marking passes over.
  if (countedBytes >= COUNTED_BYTES_MIN) ballast = new Array<number>(BALLAST_BYTES / 8).fill(0.5)
}
