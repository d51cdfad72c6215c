import { fstatSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

/** Commands that are over sooner need no watch. */
const watchAfterMs = 500

/** What the thread is given. */
export interface PipeReaderData {
  /** What is written to: 1 for standard output. */
  readonly descriptor: number
}

/**
 * Calls `gone` when nobody reads what this descriptor writes to, without writing anything: `receive | head -1` is to end when head
 * has, and not when the next object comes, which may be never. Returns what ends the watch.
 *
 * Node.js reports a closed pipe only to whoever writes. So a thread of its own asks the operating system, by `poll_oneoff` of WASI,
 * the one door of Node.js to poll(2). On other systems than Linux, where that was not tried, nobody watches.
 */
export function watchReader(descriptor: number, gone: () => void): () => void {
  if (process.platform !== 'linux' || !isPipe(descriptor)) return () => undefined
  let worker: Worker | undefined
  const timer = setTimeout(() => {
    const data: PipeReaderData = { descriptor }
    worker = new Worker(new URL('./pipeReaderThread.js', import.meta.url), {
      name: 'objectrelay pipe reader',
      workerData: data,
      execArgv: [],
      // WASI is called experimental by a warning each time; nobody is to see it.
      stderr: true,
    })
    worker.on('message', gone)
    // Without it the command ends with the next write, as everywhere else.
    worker.on('error', () => undefined)
    worker.unref()
  }, watchAfterMs).unref()
  return () => {
    clearTimeout(timer)
    void worker?.terminate()
  }
}

function isPipe(descriptor: number): boolean {
  const status = fstatSync(descriptor)
  return status.isFIFO() || status.isSocket()
}
