/** TLS hands over one record at a time, of at most this size. */
const READ_BYTES = 16 * 1024

/**
 * The memory that a TLS socket reads into, again and again. A socket that is left to itself allocates memory for each
 * record, and freeing it costs more than decrypting what is in it.
 */
export class SocketInput {
  /** The option of that name of `tls.connect`. */
  readonly onread: { buffer: Buffer; callback(bytesRead: number): boolean }
  /** Takes what was read; the bytes are overwritten after the call. */
  receiver: (bytes: Buffer) => void = () => undefined

  constructor() {
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
    this.onread = {
      buffer,
      callback: (bytesRead) => {
        this.receiver(bytesRead === READ_BYTES ? buffer : buffer.subarray(0, bytesRead))
        return true
      },
    }
  }
}
