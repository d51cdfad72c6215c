import { expect, test } from 'vitest'
import { hostAndPort, plainAddress } from './hostAndPort.ts'

test.each([
  ['127.0.0.1', '127.0.0.1:3000'],
  ['::ffff:127.0.0.1', '127.0.0.1:3000'],
  ['::FFFF:192.0.2.1', '192.0.2.1:3000'],
  ['::1', '[::1]:3000'],
  ['fe80::1%eth0', '[fe80::1%eth0]:3000'],
  ['::ffff:c000:201', '[::ffff:c000:201]:3000'],
  ['relay.example', 'relay.example:3000'],
])('%s with a port is %s', (host, shown) => {
  expect(hostAndPort(host, 3000)).toBe(shown)
  expect(hostAndPort(plainAddress(host), 3000)).toBe(shown)
})
