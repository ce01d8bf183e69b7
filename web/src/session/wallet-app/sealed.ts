const SEQUENCE_BYTES = 4
const IV_BYTES = 12
const P256 = { name: 'ECDH', namedCurve: 'P-256' }

type Bytes = Uint8Array<ArrayBuffer>

/** The bytes of an uncompressed point of P-256. */
export const POINT_BYTES = 65

export function joined(...parts: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** The encryption of a session: AES-128-GCM. Each side numbers its messages from 1, and the number is authenticated. */
export class Sealed {
  readonly #key: CryptoKey
  #sent = 0
  #received = 0

  constructor(key: CryptoKey) {
    this.#key = key
  }

  /** ECDH with the other side's point, then HKDF-SHA256. */
  static async between(own: CryptoKey, theirs: Bytes, salt: Bytes): Promise<Sealed> {
    const point = await crypto.subtle.importKey('raw', theirs, P256, false, [])
    const secret = await crypto.subtle.deriveBits({ name: 'ECDH', public: point }, own, 256)
    const material = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey'])
    const hkdf = { name: 'HKDF', hash: 'SHA-256', salt, info: new Uint8Array() }
    const aes = { name: 'AES-GCM', length: 128 }
    return new Sealed(await crypto.subtle.deriveKey(hkdf, material, aes, false, ['encrypt', 'decrypt']))
  }

  async seal(message: unknown): Promise<Bytes> {
    const sequence = new Uint8Array(SEQUENCE_BYTES)
    new DataView(sequence.buffer).setUint32(0, ++this.#sent)
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES))
    const plain = new TextEncoder().encode(JSON.stringify(message))
    const sealed = await crypto.subtle.encrypt(this.#by(iv, sequence), this.#key, plain)
    return joined(sequence, iv, new Uint8Array(sealed))
  }

  /** Throws if it is not the next message of the other side. */
  async open(bytes: Bytes): Promise<unknown> {
    const sequence = bytes.slice(0, SEQUENCE_BYTES)
    const iv = bytes.slice(SEQUENCE_BYTES, SEQUENCE_BYTES + IV_BYTES)
    const cipher = bytes.slice(SEQUENCE_BYTES + IV_BYTES)
    const plain = await crypto.subtle.decrypt(this.#by(iv, sequence), this.#key, cipher)
    if (new DataView(sequence.buffer).getUint32(0) !== ++this.#received)
      throw new Error('not the next message')
    return JSON.parse(new TextDecoder().decode(plain))
  }

  #by(iv: Bytes, sequence: Bytes) {
    return { name: 'AES-GCM', iv, additionalData: sequence, tagLength: 128 }
  }
}
