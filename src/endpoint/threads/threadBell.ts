import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { Bell } from './recordPort.ts'

interface AttachmentMessage {
  readonly id: number
  readonly buffers: readonly ArrayBuffer[]
}

/**
 * The bell between two threads: a message without content, rung only when the other side sleeps; and, on a port of
 * their own so that they can be taken at once, large memories by transfer.
 */
export class ThreadBell implements Bell {
  onRing: () => void = () => undefined
  readonly #bell: MessagePort
  readonly #attachments: MessagePort
  readonly #arrived = new Map<number, readonly ArrayBuffer[]>()

  constructor(bell: MessagePort, attachments: MessagePort) {
    this.#bell = bell
    this.#attachments = attachments
    bell.on('message', () => this.onRing())
  }

  ring(): void {
    this.#bell.postMessage(0)
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
