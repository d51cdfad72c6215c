import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/**
 * What an endpoint keeps of a login, so that its process reconnects or opens further endpoints without the password
 * exchange. `key` is a secret: it is never logged, stored or sent.
 */
export interface Ticket {
  /** What to show to the relay, which alone can read it. */
  readonly sealed: Uint8Array
  readonly key: Uint8Array
  /** How long the relay promised to take it, from the login on. */
  readonly lifetimeMs: number
}

/** Of the key from which a relay derives the one that seals its tickets. */
export const ticketKeyBytes = 32

const saltBytes = 16
const ticketSecretBytes = 32
const tagBytes = 16
/** Of what travels: salt, then expiry and key of the ticket encrypted, then the tag. */
export const sealedTicketBytes: number = saltBytes + 8 + ticketSecretBytes + tagBytes

/** A clock that was set back a little does not cost those who came just before a login. */
const CLOCK_SLACK_MS = 60_000

/** Every ticket is sealed with a key of its own, so the nonce may be the same for all. */
const noNonce = Buffer.alloc(12)

export interface TicketSealOptions {
  /** The relay's secret: who has it, and what stands for the password, can make tickets. */
  readonly ticketKey: Uint8Array
  /** What stands for the password: with another one no ticket of before is taken. */
  readonly passwordBinding: Uint8Array
  readonly ticketMs: number
}

/**
 * The tickets of a relay, of which it keeps none: each is sealed (AES-256-GCM) and holds its own key and expiry. As long as the relay
 * has its ticket key and its password, it takes them, also after a restart. Who has the ticket key but not the password
 * can neither read nor make one.
 */
export class TicketSeal {
  readonly #sealKey: Uint8Array
  readonly #lifetimeSeconds: number

  constructor({ ticketKey, passwordBinding, ticketMs }: TicketSealOptions) {
    if (ticketKey.length !== ticketKeyBytes) throw new RangeError(`A ticket key has ${ticketKeyBytes} bytes`)
    this.#sealKey = new Uint8Array(hkdfSync('sha256', ticketKey, passwordBinding, 'objectrelay/1 ticket seal', 32))
    this.#lifetimeSeconds = Math.min(Math.floor(ticketMs / 1000), 0xffff_ffff)
  }

  /** How long a ticket is taken; 0: this relay hands out none. */
  get lifetimeSeconds(): number {
    return this.#lifetimeSeconds
  }

  /** The ticket of an endpoint that has proven itself, as it travels. */
  seal(key: Uint8Array, dateMs: number): Uint8Array {
    if (key.length !== ticketSecretBytes) throw new RangeError(`The key of a ticket has ${ticketSecretBytes} bytes`)
    const content = Buffer.alloc(8 + ticketSecretBytes)
    content.writeBigUInt64LE(BigInt(Math.round(dateMs) + this.#lifetimeSeconds * 1000))
    content.set(key, 8)
    const salt = randomBytes(saltBytes)
    const cipher = createCipheriv('aes-256-gcm', this.#keyOf(salt), noNonce)
    const sealed = Buffer.concat([salt, cipher.update(content), cipher.final(), cipher.getAuthTag()])
    content.fill(0)
    return new Uint8Array(sealed)
  }

  /** The key of a ticket that this relay made and that has not expired. */
  open(sealed: Uint8Array, dateMs: number): Uint8Array | undefined {
    if (sealed.length !== sealedTicketBytes || this.#lifetimeSeconds === 0) return undefined
    const salt = sealed.subarray(0, saltBytes)
    const decipher = createDecipheriv('aes-256-gcm', this.#keyOf(salt), noNonce, { authTagLength: tagBytes })
    decipher.setAuthTag(sealed.subarray(-tagBytes))
    const content = decipher.update(sealed.subarray(saltBytes, -tagBytes))
    try {
      decipher.final()
    } catch {
      return undefined
    }
    const leftMs = Number(content.readBigUInt64LE()) - dateMs
    // No ticket outlives what this relay gives one, whatever the clock said when it was made.
    if (leftMs <= 0 || leftMs > this.#lifetimeSeconds * 1000 + CLOCK_SLACK_MS) return undefined
    return new Uint8Array(content.subarray(8))
  }

  #keyOf(salt: Uint8Array): Uint8Array {
    return new Uint8Array(hkdfSync('sha256', this.#sealKey, salt, 'objectrelay/1 one ticket', 32))
  }
}
