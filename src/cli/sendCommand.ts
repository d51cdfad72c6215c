import { type Command, Option } from 'commander'
import type { Endpoint } from '../endpoint/program/endpoint.ts'
import { createError } from '../errors.ts'
import { addCommonFlags, addConfigFlag, addPasswordFlags, durationFlag, flagsOf, outputOf } from './commandContext.ts'
import type { InputItem } from './inputs.ts'
import { Interrupt } from './interrupt.ts'
import { openEndpoint } from './openEndpoint.ts'
import type { Output } from './output.ts'
import { type Progress, ProgressBar } from './progressBar.ts'
import { checkInputFlags, openInput, type SendInput, withOutcome } from './sendInput.ts'
import { notAllAccepted, ObjectSending, type SendOutcome } from './sendObjects.ts'
import { endpointSettings } from './settingCatalogue.ts'
import { addSettings, collect } from './settings.ts'
import { formatBytes } from './units.ts'

/** Rejections that are told one by one; the sum is told at the end. */
const toldRejectionsMax = 10
const stopMs = 2_000

/** The two ways of sending. */
export type SendKind = 'produce' | 'broadcast'

/** The flags that `produce` and `broadcast` share. */
export function addSendFlags(command: Command): Command {
  command.argument('[json...]', 'objects to send, each a JSON value; without them, standard input is read')
  addSettings(command, endpointSettings)
  addPasswordFlags(command)
  addConfigFlag(command)
  command
    .addOption(
      new Option('--input <ndjson|json|raw>', 'what standard input holds (default: ndjson, a JSON value in each line)'),
    )
    .addOption(new Option('--file <path>', 'send this file as { name, data }; repeat it for more').argParser(collect))
    .option('--name <name>', "with --input raw: the name of what is sent (default: 'stdin')")
    .option('--plain-json', "take '$type' in JSON as a name like any other")
    .option('--timeout <duration>', 'end, without success, when not everything was accepted by then')
    .option('--no-progress', 'show no progress on the terminal')
  return addCommonFlags(command)
}

/** Sends what the command was given, and reports what was accepted. Throws when not everything was. */
export async function runSend(kind: SendKind, values: readonly string[], command: Command): Promise<void> {
  const output = outputOf(command)
  const flags = flagsOf(command)
  checkInputFlags(values, flags)
  const timeoutMs = durationFlag('--timeout', flags.timeout)
  const interrupt = new Interrupt()
  const progress = new ProgressBar(flags.progress !== false && !output.json)
  try {
    const input = await openInput(values, flags, { signal: interrupt.signal, progress })
    const joined = { settings: endpointSettings, joins: false }
    const { endpoint, groups } = await openEndpoint(command, joined, { output, interrupt })
    const retain = flags.retain !== false
    const send = ({ object, transfer }: InputItem) =>
      kind === 'produce'
        ? endpoint.produce(object, [...groups], { transfer })
        : endpoint.broadcast(object, [...groups], { transfer, retain, replace: false })
    const sending = createSending(send, { output, progress })
    let readBytes = 0
    progress.show(() => sendProgress(sending.outcome, input, { endpoint, readBytes }))
    const context = {
      signal: sending.signal,
      plainJson: flags.plainJson === true,
      onBytes: (bytes: number) => {
        readBytes += bytes
      },
    }
    await untilSent(sending, input.items(context), { endpoint, interrupt, timeoutMs, progress, output })
    if (sending.outcome.rejected > 0) throw notAllAccepted(sending.outcome)
  } finally {
    progress.end()
    interrupt.dispose()
  }
}

/** What has reached the relay: the objects that it has accepted, and of large ones the parts that have gone to it. */
function sendProgress(
  { accepted, acceptedBytes }: SendOutcome,
  { totalBytes }: SendInput,
  { endpoint, readBytes }: { readonly endpoint: Endpoint; readonly readBytes: number },
): Progress {
  const doneBytes = acceptedBytes + endpoint.stats().underWay.sentBytes
  const count = `${accepted} accepted`
  // A large file is read before it is sent.
  if (doneBytes === 0) return { doneBytes: readBytes, totalBytes, verb: 'read', count, isDone: false }
  return { doneBytes, totalBytes, verb: 'sent', count, isDone: totalBytes !== undefined && acceptedBytes >= totalBytes }
}

function createSending(
  send: (item: InputItem) => Promise<{ readonly members: Readonly<Record<string, number>> }>,
  { output, progress }: { output: Output; progress: ProgressBar },
): ObjectSending {
  const sending: ObjectSending = new ObjectSending({
    send,
    onRejected: ({ where }, error) => {
      if (sending.outcome.rejected > toldRejectionsMax) return
      progress.wipe()
      output.warn(`${where} was not accepted: ${error.message}`)
    },
  })
  return sending
}

interface Surroundings {
  readonly endpoint: Endpoint
  readonly interrupt: Interrupt
  readonly timeoutMs: number | undefined
  readonly progress: ProgressBar
  readonly output: Output
}

/** Whatever ends it, the counts are reported; they are what a script needs to know where to go on. */
async function untilSent(
  sending: ObjectSending,
  items: AsyncIterable<InputItem>,
  surroundings: Surroundings,
): Promise<void> {
  const { endpoint, interrupt, timeoutMs, progress, output } = surroundings
  const onSignal = (): void => sending.abort(interrupt.signal.reason)
  interrupt.signal.addEventListener('abort', onSignal, { once: true })
  if (interrupt.signal.aborted) onSignal()
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => sending.abort(timedOut(timeoutMs)), timeoutMs)
  let ended: { readonly thrown: unknown } | undefined
  try {
    await sending.run(items)
  } catch (thrown) {
    ended = { thrown }
  }
  clearTimeout(timer)
  await endpoint.stop({ deadlineMs: stopMs })
  // What the stop has rejected is counted in the turn after.
  await new Promise((resolve) => setImmediate(resolve))
  progress.end()
  const { outcome } = sending
  await report(outcome, output)
  const sent = outcome.accepted + outcome.rejected + outcome.unanswered
  if (ended !== undefined) throw withOutcome(ended.thrown, sent, outcome.accepted)
}

async function report(outcome: SendOutcome, output: Output): Promise<void> {
  const { accepted, acceptedBytes, rejected, unanswered, members } = outcome
  await output.result({ accepted, rejected, unanswered, bytes: acceptedBytes, members }, '')
  const counts = Object.entries(members).map(
    ([group, count]) => `${group} has ${count} ${count === 1 ? 'member' : 'members'}`,
  )
  const parts = [
    `${accepted} accepted (${formatBytes(acceptedBytes)})`,
    ...(rejected > 0 ? [`${rejected} not accepted`] : []),
    ...(unanswered > 0 ? [`${unanswered} without an answer`] : []),
    ...counts,
  ]
  output.note(parts.join(', '))
  for (const [group, count] of Object.entries(members)) {
    if (count === 0) output.note(`Nobody is a member of ${group} yet: what was sent waits there. Is the name right?`)
  }
}

function timedOut(timeoutMs: number): Error {
  return createError('TIMEOUT', `Not everything was accepted within ${timeoutMs} ms.`, { details: { timeoutMs } })
}
