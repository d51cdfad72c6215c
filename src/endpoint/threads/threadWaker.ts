import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { Waker } from './waker.ts'

interface AttachmentMessage {
  readonly id: number
  readonly buffers: readonly ArrayBuffer[]
}

/**
 * Between two threads: a message without content, posted only when the other side sleeps; and, on a port of
 * their own so that they can be taken at once, large memories by transfer.
 */
export class ThreadWaker implements Waker {
  onWake: () => void = () => undefined
  readonly #wakes: MessagePort
  readonly #attachments: MessagePort
  readonly #arrived = new Map<number, readonly ArrayBuffer[]>()

  constructor(wakes: MessagePort, attachments: MessagePort) {
    this.#wakes = wakes
    this.#attachments = attachments
    wakes.on('message', () => this.onWake())
  }

  wake(): void {
    this.#wakes.postMessage(0)
  }

  sendAttachment(id: number, buffers: readonly ArrayBuffer[]): void {
    const message: AttachmentMessage = { id, buffers }
    this.#attachments.postMessage(message, [...buffers])
  }

  takeAttachment(id: number): readonly ArrayBuffer[] {
    for (let received = receiveMessageOnPort(this.#attachments); received !== undefined; ) {
      // Only sendAttachment writes to this port.
      const { id: arrivedId, buffers } = received.message as AttachmentMessage
      this.#arrived.set(arrivedId, buffers)
      received = receiveMessageOnPort(this.#attachments)
    }
    const buffers = this.#arrived.get(id) ?? []
    this.#arrived.delete(id)
    return buffers
  }
}
