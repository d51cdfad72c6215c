import { describe, expect, it } from 'vitest'
import { defaultEndpointName, isEndpointName } from './endpointName.ts'

describe('the name that an endpoint has without being given one', () => {
  it.each([
    ['machine-7', 'machine-7:42'],
    ['häuschen', 'häuschen:42'],
    ['two\nlines\u0000', 'twolines:42'],
    ['half a \ud800pair', 'half a pair:42'],
    ['', ':42'],
    ['x'.repeat(255), `${'x'.repeat(125)}:42`],
    ['ä'.repeat(255), `${'ä'.repeat(62)}:42`],
    ['🙂'.repeat(64), `${'🙂'.repeat(31)}:42`],
  ])('is fit whatever the machine is called: %j', (host, name) => {
    expect(defaultEndpointName(host, 42)).toBe(name)
    expect(isEndpointName(name)).toBe(true)
  })
})
