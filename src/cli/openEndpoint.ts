import type { Command } from 'commander'
import { Endpoint } from '../endpoint/program/endpoint.ts'
import type { EndpointConnectOptions } from '../endpoint/program/endpointOptions.ts'
import type { EndpointEvents } from '../endpoint/program/endpointTypes.ts'
import type { Listeners } from '../events.ts'
import { passwordOf, resolveCommand, usageError } from './commandContext.ts'
import type { Interrupt } from './interrupt.ts'
import { type Output, printable } from './output.ts'
import type { Setting } from './settingCatalogue.ts'
import { explainingSources } from './settings.ts'

const hostDefault = '127.0.0.1'
/** Nobody reads these longer: the first attempts usually fail only because the relay is about to start. */
const quietAttempts = 1

/** An endpoint that the relay has accepted, and the groups that the command is about. */
export interface OpenedEndpoint {
  readonly endpoint: Endpoint
  readonly groups: readonly string[]
}

/** Connects with what flags, variables and config file say; says on standard error what goes on. */
export async function openEndpoint(
  command: Command,
  { settings, joins, on }: { settings: readonly Setting[]; joins: boolean; on?: Listeners<EndpointEvents> },
  { output, interrupt }: { output: Output; interrupt: Interrupt },
): Promise<OpenedEndpoint> {
  const { flags, config, resolved } = await resolveCommand(command, settings, ['reconnect', 'ca'])
  const groups = groupsOf(resolved.values.groups)
  if (resolved.values.port === undefined) throw usageError('--port', 'is missing: it is the port of the relay')
  const { password, where } = await passwordOf({ flags, config }, output)
  const options = {
    host: hostDefault,
    io: 'inline',
    ...fromConfig(config?.values),
    ...resolved.values,
    password,
    groups: joins ? groups : [],
    // Each command tells by itself what its calls fail with.
    on: { error: () => undefined, ...progressListeners(output), ...on },
  }
  const sources = new Map(resolved.sources).set('password', where)
  const endpoint = await explainingSources({ values: options, sources }, settings, () =>
    // Endpoint.connect checks each of the values, which come from outside.
    interrupt.race(Endpoint.connect(options as unknown as EndpointConnectOptions)),
  )
  return { endpoint, groups }
}

function groupsOf(value: unknown): readonly string[] {
  const names: readonly unknown[] = Array.isArray(value) ? value : value === undefined ? [] : [value]
  if (names.length === 0) throw usageError('--group', 'is missing: name at least one group')
  const groups = names.filter((name) => typeof name === 'string')
  if (groups.length < names.length) throw usageError('--group', 'or the option groups holds what is not a string')
  return groups
}

/** What has no flag. */
function fromConfig(values: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  const { reconnect, ca } = values
  return { ...(reconnect === undefined ? {} : { reconnect }), ...(ca === undefined ? {} : { ca }) }
}

function progressListeners(output: Output): Listeners<EndpointEvents> {
  return {
    connecting: ({ attempt, error }) => {
      if (error !== undefined && attempt === quietAttempts) {
        output.note(`Waiting for the relay: ${printable(error.message)}`)
      }
    },
    reconnecting: ({ attempt, error }) => {
      if (attempt === 0) output.warn(`The link is lost, connecting again: ${error.message}`)
    },
    connected: ({ resumed }) => {
      if (resumed) output.note('Connected again.')
    },
    blocked: ({ group }) => output.note(`The group ${printable(group)} is full: waiting for room.`),
    objectsDropped: ({ error }) => output.warn(error.message),
    sessionLost: ({ error }) => output.warn(error.message),
  }
}
