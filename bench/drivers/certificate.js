import { createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto'

// A self-signed P-256 certificate needs little of DER, so that the benchmark asks neither openssl nor the library it measures.

/**
 * @param {number} tag
 * @param {...Buffer} parts
 */
function der(tag, ...parts) {
  const content = Buffer.concat(parts)
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content])
  const length = content.length < 0x100 ? [0x81, content.length] : [0x82, content.length >> 8, content.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

const sequence = (/** @type {Buffer[]} */ ...parts) => der(0x30, ...parts)
const identifier = (/** @type {string} */ hex) => der(0x06, Buffer.from(hex, 'hex'))
const utcTime = (/** @type {Date} */ date) =>
  der(
    0x17,
    Buffer.from(
      `${date
        .toISOString()
        .replaceAll(/[-:T]|\.\d+/g, '')
        .slice(2)}`,
    ),
  )

/**
 * A key and a certificate for 127.0.0.1 and localhost, valid for a day.
 * @returns {{ key: string, certificate: string }}
 */
export function makeCertificate() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  })
  const ecdsaWithSha256 = sequence(identifier('2a8648ce3d040302'))
  const name = sequence(der(0x31, sequence(identifier('550403'), der(0x0c, Buffer.from('bench')))))
  const hourMs = 60 * 60 * 1000
  const validity = sequence(utcTime(new Date(Date.now() - hourMs)), utcTime(new Date(Date.now() + 24 * hourMs)))
  // The subject's alternative names: an IP address, context tag 7, and a name, tag 2, which some clients ask for.
  const names = sequence(der(0x87, Buffer.from([127, 0, 0, 1])), der(0x82, Buffer.from('localhost')))
  const alternativeName = sequence(identifier('551d11'), der(0x04, names))
  // A serial number is positive and has no leading zero byte.
  const serial = randomBytes(16)
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f)
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ecdsaWithSha256,
    name,
    validity,
    name,
    publicKey,
    der(0xa3, sequence(alternativeName)),
  )
  const signature = sign('sha256', body, createPrivateKey(privateKey))
  const certificate = sequence(body, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature))
  return { key: privateKey, certificate: new X509Certificate(certificate).toString() }
}
