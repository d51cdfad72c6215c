import { readFileSync } from 'node:fs'

/** Linux counts processor time in ticks of 10 ms. */
const tickUs = 10_000

/**
 * Processor time and memory of another process, from /proc: `undefined` where there is none.
 * @param {number} pid
 * @returns {{ cpuUs: number, peakRssKiB: number, rssBytes: number } | undefined}
 */
export function usageOf(pid) {
  let stat = ''
  let status = ''
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    status = readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return undefined
  }
  // The name of the program, in parentheses, may hold spaces; the fields are counted from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [userTicks = 0, systemTicks = 0] = fields.slice(11, 13).map(Number)
  const kibibytes = (/** @type {string} */ name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1])
  return {
    cpuUs: (userTicks + systemTicks) * tickUs,
    peakRssKiB: kibibytes('VmHWM'),
    rssBytes: kibibytes('VmRSS') * 1024,
  }
}
