/**
 * All threads of this library as one module, for programs that were bundled into one file; `scripts/build.js` puts it here, made
 * of threadEntry.ts. Without a build it is empty.
 */
export const threadCode: string = ''
