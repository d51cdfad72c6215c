import { WASI } from 'node:wasi'
import { parentPort, workerData } from 'node:worker_threads'
import type { PipeReaderData } from './pipeReader.ts'

const checkMs = 200

/** What is used of it, for the module below; the types of Node.js do not have it. */
declare const WebAssembly: {
  readonly Module: new (code: Uint8Array) => object
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: { readonly memory: { readonly buffer: ArrayBuffer }; poll(): number } }
}

/*
 * (module
 *   (import "wasi_snapshot_preview1" "poll_oneoff" (func (param i32 i32 i32 i32) (result i32)))
 *   (memory (export "memory") 1)
 *   (func (export "poll") (result i32) (call 0 (i32.const 0) (i32.const 256) (i32.const 2) (i32.const 512))))
 */
const code = Buffer.from(
  '0061736d01000000010d0260047f7f7f7f017f6000017f02260116776173695f736e617073686f74' +
    '5f70726576696577310b706f6c6c5f6f6e656f66660000030201010503010001071102066d656d6f' +
    '7279020004706f6c6c00010a10010e004100418002410241800410000b',
  'hex',
)
/** Where in its memory the subscriptions begin, the events, and their number; as in the call above. */
const subscriptionsAt = 0
const eventsAt = 256
const eventCountAt = 512
const subscriptionBytes = 48
const eventBytes = 32
const pollBytes = eventCountAt + 4

/** Of the WASI interface: what is subscribed to, and what an event says. */
const clockKind = 0
const readKind = 1
const monotonicClock = 1
const hangupFlag = 1
const waitNs = 1_000_000n
const readerNumber = 1n
const clockNumber = 2n

const { descriptor } = workerData as PipeReaderData // pipeReader.ts gives exactly this
const wasi = new WASI({ version: 'preview1' })
const instance = new WebAssembly.Instance(new WebAssembly.Module(code), wasi.getImportObject())
const { memory, poll } = instance.exports
wasi.initialize({ exports: { memory } })

/** Whether the other end of the pipe is closed. Waits a millisecond for it, since to ask without waiting gives no answer. */
function isReaderGone(): boolean {
  const view = new DataView(memory.buffer)
  new Uint8Array(memory.buffer, 0, pollBytes).fill(0)
  view.setBigUint64(subscriptionsAt, readerNumber, true)
  view.setUint8(subscriptionsAt + 8, readKind)
  view.setUint32(subscriptionsAt + 16, descriptor, true)
  const clockAt = subscriptionsAt + subscriptionBytes
  view.setBigUint64(clockAt, clockNumber, true)
  view.setUint8(clockAt + 8, clockKind)
  view.setUint32(clockAt + 16, monotonicClock, true)
  view.setBigUint64(clockAt + 24, waitNs, true)
  if (poll() !== 0) throw new Error('It cannot be asked for.')
  const count = view.getUint32(eventCountAt, true)
  for (let at = eventsAt; at < eventsAt + count * eventBytes; at += eventBytes) {
    if (view.getBigUint64(at, true) !== readerNumber) continue
    // Of a pipe it is an error, of a socket a flag.
    if (view.getUint16(at + 8, true) !== 0 || (view.getUint16(at + 24, true) & hangupFlag) !== 0) return true
  }
  return false
}

const timer = setInterval(() => {
  if (!isReaderGone()) return
  clearInterval(timer)
  parentPort?.postMessage('gone')
}, checkMs)
