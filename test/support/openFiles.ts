import { readdirSync, readlinkSync, realpathSync } from 'node:fs'

/** Files below a folder that this process has open. Only Linux can tell; elsewhere there are none to be seen. */
export function openFilesIn(folder: string): string[] {
  if (process.platform !== 'linux') return []
  const below = `${realpathSync(folder)}/`
  return readdirSync('/proc/self/fd')
    .map((descriptor) => {
      try {
        return readlinkSync(`/proc/self/fd/${descriptor}`)
      } catch {
        // It was that of the listing itself, or was closed meanwhile.
        return ''
      }
    })
    .filter((path) => path.startsWith(below))
}
