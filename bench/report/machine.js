import { cpus, totalmem } from 'node:os'

/** The facts about the machine without which a figure says nothing. */
export function describeMachine() {
  const processors = cpus()
  const model = processors[0]?.model.trim() ?? 'unknown processor'
  const memoryGiB = Math.round(totalmem() / 2 ** 30)
  const line = `${processors.length} x ${model}, ${memoryGiB} GiB, ${process.platform}, Node ${process.version}`
  return { line, model, processors: processors.length, memoryGiB, platform: process.platform, node: process.version }
}
