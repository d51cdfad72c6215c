import type { Socket } from 'node:net'
import { createError } from '../errors.ts'
import { hostAndPort } from '../hostAndPort.ts'
import { PROTOCOL_NAME } from '../wire/frameTypes.ts'

/**
 * On a link without TLS, where no ALPN names the protocol, both sides first send its name and a line feed. So each
 * finds out at once when the other speaks TLS, HTTP or something else.
 */
const PREFACE = Buffer.from(`${PROTOCOL_NAME}\n`, 'latin1')

const TLS_RECORD_TYPES = [0x14, 0x15, 0x16, 0x17]

/** A fatal alert, protocol_version (RFC 8446, 6), as it looks before anything is encrypted. */
const TLS_ALERT = Buffer.of(0x15, 3, 3, 0, 2, 2, 70)

/**
 * The relay's last word to a peer that took it for a relay with, or without, TLS: what this side speaks, so that the
 * peer can tell the mismatch from a broken link.
 */
export function sayWhatIsSpoken(socket: Socket, speaksTls: boolean): void {
  socket.end(speaksTls ? TLS_ALERT : PREFACE, () => socket.destroy())
}

export function writePreface(socket: Socket): void {
  socket.write(PREFACE)
}

/** Reads the peer's preface, within `timeoutMs` if that is given, and leaves what follows in the socket, which is then paused until somebody listens. */
export function readPreface(socket: Socket, timeoutMs: number | undefined, peer: 'relay' | 'endpoint'): Promise<void> {
  return new Promise((resolve, reject) => {
    const where = hostAndPort(socket.remoteAddress ?? 'the peer', socket.remotePort ?? 0)
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            finish(createError('HANDSHAKE_TIMEOUT', `${where} did not say within ${timeoutMs} ms what it speaks.`))
          }, timeoutMs).unref()
    function onReadable() {
      const first: unknown = socket.read(1)
      if (!Buffer.isBuffer(first)) return
      socket.unshift(first)
      if (first[0] !== PREFACE[0]) return finish(foreign(first[0] ?? 0))
      const line: unknown = socket.read(PREFACE.length)
      if (!Buffer.isBuffer(line)) return
      finish(line.equals(PREFACE) ? undefined : foreign(line[0] ?? 0))
    }
    function onEnd() {
      // A relay that is too busy, or about to stop, does so too: trying again may help.
      finish(createError('CONNECT_FAILED', `${where} closed the connection without a word of the protocol.`))
    }
    function foreign(firstByte: number): Error {
      if (TLS_RECORD_TYPES.includes(firstByte)) {
        return createError(
          'SECURITY_MISMATCH',
          `${where} speaks TLS, and this side was told security: 'none'. Give both sides the same option security.`,
        )
      }
      return createError(
        'NOT_A_RELAY',
        `${where} does not speak ${PROTOCOL_NAME}; it is no ${peer} of this protocol. Check host and port.`,
      )
    }
    function finish(error?: Error) {
      clearTimeout(timer)
      socket.off('readable', onReadable)
      socket.off('end', onEnd)
      socket.off('close', onEnd)
      socket.off('error', finish)
      if (error === undefined) resolve()
      else reject(error)
    }
    socket.on('readable', onReadable)
    socket.on('end', onEnd)
    // Destroyed from this side, it has no end.
    socket.on('close', onEnd)
    socket.on('error', finish)
  })
}
