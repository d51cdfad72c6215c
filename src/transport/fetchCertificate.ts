import { connect } from 'node:tls'
import { createError } from '../errors.ts'
import { hostAndPort } from '../hostAndPort.ts'
import { explainTlsError } from '../security/tlsErrors.ts'
import { tlsOptionsForEndpoint } from '../security/tlsOptions.ts'

/** The certificate that a relay shows, as PEM. It proves nothing by itself: whoever asks compares its fingerprint. */
export async function fetchCertificate(address: { host: string; port: number; timeoutMs: number }): Promise<string> {
  const { host, port, timeoutMs } = address
  const tlsOptions = await tlsOptionsForEndpoint({ host })
  return await new Promise((resolve, reject) => {
    const socket = connect({ ...tlsOptions, host, port })
    const settle = (finish: () => void): void => {
      clearTimeout(timer)
      finish()
      // Said goodbye to, so that the relay does not report a broken link.
      if (socket.authorized || socket.authorizationError !== null) socket.end()
      else socket.destroy()
    }
    const timer = setTimeout(
      () =>
        settle(() =>
          reject(createError('CONNECT_TIMEOUT', `${hostAndPort(host, port)} did not answer within ${timeoutMs} ms.`)),
        ),
      timeoutMs,
    )
    socket.on('error', (error) => settle(() => reject(explainTlsError(error, { host, port }))))
    socket.on('close', () =>
      settle(() => reject(createError('CONNECT_FAILED', `${hostAndPort(host, port)} closed the connection at once.`))),
    )
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate()
      settle(() => {
        if (certificate !== undefined) resolve(certificate.toString())
        else reject(createError('NOT_A_RELAY', `${hostAndPort(host, port)} showed no certificate.`))
      })
    })
  })
}
