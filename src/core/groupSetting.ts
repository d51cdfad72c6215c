import { createError, type ObjectRelayError } from '../errors.ts'
import { checkGroupPolicy } from '../groupPolicy.ts'
import type { Core } from './core.ts'
import { offer } from './dispatch.ts'
import type { Group } from './entities/model.ts'
import { deadLetterName, isDeadLetterName, isGroupName } from './groupName.ts'
import { boundsOf } from './groupRegistry.ts'
import type { AcceptedGroup, GroupSetting } from './ports.ts'

/** Pauses or resumes a group. */
export function setPaused(core: Core, name: string, isPaused: boolean): void {
  const { isPaused: wasPaused, policy } = settingOf(core, name)
  if (wasPaused !== isPaused) set(core, name, { isPaused, policy })
}

/** Replaces the policy of a group. */
export function setPolicy(core: Core, name: string, given: AcceptedGroup | undefined): void {
  const policy = given === undefined ? undefined : checkGroupPolicy('policy', given)
  if (policy !== undefined && isDeadLetterName(name))
    throw wrongGroup(`The group "${name}" has no policy of its own. Set that of the group whose dead letters it has.`)
  const { isPaused, policy: before } = settingOf(core, name)
  if (policy !== before) set(core, name, { isPaused, policy })
}

/** What was set of a group holds from now on. */
export function applySetting(core: Core, name: string, { isPaused, policy }: GroupSetting): void {
  const group = core.registry.getOrCreate(name)
  if (policy !== group.policy) applyPolicy(core, group, policy)
  group.isPaused = isPaused
  for (const member of group.members) {
    if (isPaused) member.withdraw()
    else offer(core, member)
  }
}

function applyPolicy(core: Core, group: Group, policy: AcceptedGroup | undefined): void {
  const { registry, sessions } = core
  registry.setPolicy(group, policy)
  for (const session of sessions.values()) {
    session.recentRoute = undefined
    // What waits for room does so with the route that it came with.
    for (const { route } of session.blockedSends.get(group) ?? []) Object.assign(route, boundsOf(route))
  }
}

function settingOf({ registry }: Core, name: string): GroupSetting {
  return registry.groups.get(name) ?? { isPaused: false, policy: undefined }
}

function set(core: Core, name: string, setting: GroupSetting): void {
  const { registry, journal } = core
  if (!isGroupName(name))
    throw wrongGroup(`${JSON.stringify(name)} is not a name of a group. Use 1 to 128 bytes of text.`)
  // What was set before a restart of a group that is not accepted any more can still be undone.
  const refusal = registry.groups.has(name) ? undefined : registry.refusal(new Set([name]))
  if (refusal !== undefined) throw refusal
  applySetting(core, name, setting)
  for (const group of [registry.groups.get(name), registry.groups.get(deadLetterName(name))])
    if (group !== undefined) core.markDirty(group)
  journal.groupSet(name, setting)
}

function wrongGroup(message: string): ObjectRelayError {
  return createError('INVALID_ARGUMENT', message, { details: { argument: 'group' } })
}
