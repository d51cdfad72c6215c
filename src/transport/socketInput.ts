import { Socket } from 'node:net'

/** TLS hands over one record at a time, of at most 16 KiB; without TLS more comes at once. */
const READ_BYTES = 64 * 1024

/**
 * The memory that all sockets of a thread read into, again and again: what was read is dealt with before anything else is.
 * A socket that is left to itself allocates memory for each record; freeing it costs more than decrypting what is in it.
 */
let memory: Buffer | undefined

/** Where a socket reads to, and what it calls then: the option `onread` of `net.connect` and `tls.connect`. */
interface OnRead {
  readonly buffer: Buffer
  callback(bytesRead: number, buffer: Uint8Array): boolean
}

/** How bytes come from a socket: all of them in the same memory. */
export class SocketInput {
  readonly onread: OnRead
  /** Takes what was read; the bytes are overwritten after the call. */
  receiver: (bytes: Buffer) => void = () => undefined

  constructor() {
    memory ??= Buffer.allocUnsafeSlow(READ_BYTES)
    const buffer = memory
    this.onread = {
      buffer,
      callback: (bytesRead) => {
        this.receiver(buffer.subarray(0, bytesRead))
        return true
      },
    }
  }

  /**
   * The input of a socket that is connected already. For one that a server accepted Node.js has no option, so that it is told
   * what it would have been told when it was made; should a version of Node.js remember that in another way, its sockets
   * allocate memory, and all else is the same. What the socket has read before comes first.
   */
  static of(socket: Socket): SocketInput {
    const input = new SocketInput()
    readInto(socket, input.onread)
    socket.on('data', (bytes: Buffer) => input.receiver(bytes))
    return input
  }
}

/** Under which names a socket keeps the parts of its `onread`. */
interface OnReadKeys {
  readonly buffer: symbol
  readonly callback: symbol
}

let onReadKeys: OnReadKeys | null | undefined

function readInto(socket: Socket, onread: OnRead): void {
  if (onReadKeys === undefined) onReadKeys = findOnReadKeys()
  const handle: unknown = Reflect.get(socket, '_handle')
  if (onReadKeys === null || typeof handle !== 'object' || handle === null) return
  const takeBuffer: unknown = Reflect.get(handle, 'useUserBuffer')
  if (typeof takeBuffer !== 'function') return
  Reflect.apply(takeBuffer, handle, [onread.buffer])
  Reflect.set(socket, onReadKeys.buffer, onread.buffer)
  Reflect.set(socket, onReadKeys.callback, onread.callback)
}

/** Looks at a socket that was made with the option. `null`: it remembers it otherwise. */
function findOnReadKeys(): OnReadKeys | null {
  const onread = { buffer: Buffer.alloc(1), callback: () => true }
  // The types know the option of connections only.
  const socket: Socket = Reflect.construct(Socket, [{ onread }])
  const keyOf = (part: unknown) => Object.getOwnPropertySymbols(socket).find((key) => Reflect.get(socket, key) === part)
  const buffer = keyOf(onread.buffer)
  const callback = keyOf(onread.callback)
  return buffer === undefined || callback === undefined ? null : { buffer, callback }
}
