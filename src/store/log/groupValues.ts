import { isDeadLetterName, isGroupName } from '../../core/groupName.ts'
import type { GroupSetting } from '../../core/ports.ts'
import { checkGroupPolicy } from '../../groupPolicy.ts'
import { checkNames } from '../../options.ts'
import { messageOf } from '../../thrown.ts'
import type { LogValues } from './logValues.ts'
import { storeCorrupt } from './storeCorrupt.ts'

/** What was set of a group: JSON, `{ paused, policy }`, of which only what is set is there. */
const GROUPS_PREFIX = 'groups/'

/** What is set of a group now; nothing: the value is forgotten. */
export function writeGroup(values: LogValues, group: string, { isPaused, policy }: GroupSetting): void {
  const isSet = isPaused || policy !== undefined
  const text = JSON.stringify({ ...(isPaused && { paused: true }), policy })
  values.set(GROUPS_PREFIX + group, isSet ? Buffer.from(text) : undefined)
}

/** What an earlier run has set of groups. Throws `STORE_CORRUPT`. */
export function readGroups(
  values: Iterable<readonly [name: string, value: Buffer]>,
): ReadonlyMap<string, GroupSetting> {
  const settings = new Map<string, GroupSetting>()
  for (const [name, value] of values) {
    if (!name.startsWith(GROUPS_PREFIX)) continue
    const group = name.slice(GROUPS_PREFIX.length)
    const where = `The value "${name}"`
    if (!isGroupName(group)) throw storeCorrupt(where, 'has a name that cannot be')
    const setting = decode(where, value)
    if (isDeadLetterName(group) && setting.policy !== undefined)
      throw storeCorrupt(where, 'has a policy, which dead letters have not')
    settings.set(group, setting)
  }
  return settings
}

/** What this version does not know is refused: the group would run with other bounds than were set. */
function decode(where: string, value: Buffer): GroupSetting {
  try {
    const { paused, policy } = checkNames(JSON.parse(value.toString()), ['paused', 'policy'], { where })
    if (paused === true || (paused === undefined && policy !== undefined))
      return {
        isPaused: paused === true,
        policy: policy === undefined ? undefined : checkGroupPolicy('policy', policy),
      }
  } catch (thrown) {
    throw storeCorrupt(where, `cannot be read (${messageOf(thrown)})`)
  }
  throw storeCorrupt(where, 'does not say what was set')
}
