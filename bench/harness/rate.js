/**
 * Operations in a second of processor time, all threads of the process counted, the best of three times: so that
 * neither the load of the machine nor a passing collection of garbage decides.
 * @param {() => unknown} operation
 * @param {number} forMs
 */
export function rateOf(operation, forMs) {
  let best = 0
  for (let round = 0; round < 3; round++) {
    const before = process.cpuUsage()
    let operations = 0
    let usedMs = 0
    for (let batch = 1; usedMs < forMs; batch = Math.min(batch * 2, 256)) {
      for (let index = 0; index < batch; index++) operation()
      operations += batch
      const { user, system } = process.cpuUsage(before)
      usedMs = (user + system) / 1000
    }
    best = Math.max(best, (operations / usedMs) * 1000)
  }
  return best
}
