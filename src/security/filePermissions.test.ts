import { describe, expect, it } from 'vitest'
import { type Permissions, privateFileFault } from './filePermissions.ts'

const root = 0
const relay = 1_000
const stranger = 1_001
const folderOf = (uid: number) => ({ path: '/keys', uid, mode: 0o40700 })

/** What is wrong with a key of that owner and mode for a program that runs as `relay`, or as another user. */
function faultOf(file: Permissions, folders = [folderOf(relay)], userId = relay) {
  return privateFileFault({ path: '/keys/key.pem', file: { ...file, mode: 0o100000 | file.mode }, folders }, userId)
}

describe('a private file', () => {
  it.each<[string, number, number, number?]>([
    ['of the user alone', relay, 0o600],
    ['that its owner cannot change', relay, 0o400],
    ['of root that its group can read, as Kubernetes mounts a secret with fsGroup', root, 0o440],
    ['of root for a group such as ssl-cert', root, 0o640],
    ['of root alone, for root', root, 0o600, root],
    ['of root and a group, for root', root, 0o640, root],
  ])('is one %s', (_, uid, mode, userId) =>
    expect(faultOf({ uid, mode }, [folderOf(userId ?? relay)], userId)).toBeUndefined(),
  )

  it.each<[string, number, number, string, number?]>([
    ['of the user that a group can read', relay, 0o640, 'chmod 600'],
    ['that a group can write', root, 0o660, 'chmod 640'],
    ['that a group can write but not read', root, 0o620, 'chmod 640'],
    ['that everybody can read', relay, 0o604, 'chmod 600'],
    ['that everybody can write', relay, 0o602, 'chmod 600'],
    ['of root that everybody can read', root, 0o644, 'chmod 640'],
    ['of root that everybody can read, for root', root, 0o644, 'chmod 600', root],
    ['of somebody else', stranger, 0o600, 'chown 1000'],
    ['of somebody else, for root', stranger, 0o600, 'chown 0', root],
  ])('is not one %s', (_, uid, mode, remedy, userId) => {
    expect(faultOf({ uid, mode }, undefined, userId)?.remedy).toBe(`${remedy} '/keys/key.pem'`)
  })

  it.each<[string, number, number, string | undefined]>([
    ['of root that everybody may enter', root, 0o755, undefined],
    ['that is sticky, as /tmp and the mount point of a secret', root, 0o1777, undefined],
    ['that a group can write', relay, 0o2770, undefined],
    ['where everybody can write', relay, 0o777, "chmod o-w '/other'"],
    ['of root where everybody can write', root, 0o777, "chmod o-w '/other'"],
    ['of somebody else', stranger, 0o755, "chown 1000 '/other'"],
  ])('lies in a folder %s, or not', (_, uid, mode, remedy) => {
    const folders = [folderOf(relay), { path: '/other', uid, mode: 0o40000 | mode }]
    expect(faultOf({ uid: relay, mode: 0o600 }, folders)?.remedy).toBe(remedy)
  })

  it('is refused with who can do what, in octal', () => {
    expect(faultOf({ uid: relay, mode: 0o644 })).toMatchObject({
      mode: '0644',
      fault: expect.stringContaining('(mode 0644)'),
    })
    expect(faultOf({ uid: stranger, mode: 0o600 })?.fault).toMatch(/another user \(number 1001\).*runs as user 1000/)
  })
})
