import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { defaultHostnames, makeCertificate, makePrivateKey } from './certificate.ts'

const key = makePrivateKey()
const nowMs = Date.UTC(2026, 5, 1)

function made(hostnames: readonly string[], at = nowMs): X509Certificate {
  return new X509Certificate(makeCertificate({ key, hostnames, nowMs: at }))
}

describe('a certificate that we make', () => {
  it('is for all the names and addresses that were given, and signed by its own key', () => {
    const certificate = made(['relay.example.org', '192.0.2.7', '2001:db8::7'])
    expect(certificate.checkHost('relay.example.org')).toBe('relay.example.org')
    expect(certificate.checkIP('192.0.2.7')).toBe('192.0.2.7')
    expect(certificate.checkIP('2001:db8::7')).toBe('2001:db8::7')
    expect(certificate.checkHost('other.example.org')).toBeUndefined()
    expect(certificate.verify(certificate.publicKey)).toBe(true)
    expect(certificate.ca).toBe(false)
  })

  it('is valid from a day ago for ten years, also across 2050', () => {
    expect(new Date(made(['localhost']).validFrom).getTime()).toBe(Date.UTC(2026, 4, 31))
    expect(new Date(made(['localhost']).validTo).getUTCFullYear()).toBe(2036)
    const late = made(['localhost'], Date.UTC(2045, 0, 1))
    expect(new Date(late.validTo).getUTCFullYear()).toBe(2054)
  })

  it('has a serial number of its own', () => {
    const serials = new Set(Array.from({ length: 20 }, () => made(['localhost']).serialNumber))
    expect(serials.size).toBe(20)
  })

  it('takes a name in any script as the network writes it, and a long one', () => {
    expect(made(['b\u00fccher.example']).checkHost('xn--bcher-kva.example')).toBe('xn--bcher-kva.example')
    const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.example`
    expect(made([long]).checkHost(long)).toBe(long)
  })

  it('is by default for this machine under its usual names', () => {
    const certificate = made(defaultHostnames())
    expect(certificate.checkHost('localhost')).toBe('localhost')
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1')
    expect(certificate.checkIP('::1')).toBe('::1')
  })

  it('is not made for what is no name', () => {
    for (const hostnames of [[], ['a b'], [''], ['x'.repeat(300)], new Array<string>(101).fill('localhost')]) {
      expect(() => made(hostnames)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    }
  })
})
