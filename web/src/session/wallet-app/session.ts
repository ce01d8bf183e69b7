import { base64 } from '../base64'
import { associated, associationUri, randomPort, WalletAppFault } from './association'
import { joined, POINT_BYTES, Sealed } from './sealed'

type Bytes = Uint8Array<ArrayBuffer>
interface Answer {
  id?: number
  result?: unknown
  error?: { message?: string }
}

const P256 = 'P-256'
const ECDSA = { name: 'ECDSA', namedCurve: P256, hash: 'SHA-256' }
/** The user reads what they sign; but not for ever. */
const ANSWER_WITHIN_MS = 300_000

/** A session with a wallet app of this device, by the Mobile Wallet Adapter protocol 2.0. One request at a time. */
export class Session {
  readonly #socket: WebSocket
  readonly #sealed: Sealed
  #last = 0

  private constructor(socket: WebSocket, sealed: Sealed) {
    this.#socket = socket
    this.#sealed = sealed
  }

  /** Opens the app: the browser allows that only shortly after a tap. */
  static async open(): Promise<Session> {
    const association = await crypto.subtle.generateKey(ECDSA, false, ['sign', 'verify'])
    const token = await raw(association.publicKey)
    const port = randomPort()
    const socket = await associated(associationUri(base64(token), port), port)
    try {
      return new Session(socket, await agreed(socket, association.privateKey, token))
    } catch (error) {
      socket.close()
      throw error
    }
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN
  }

  close(): void {
    this.#socket.close()
  }

  /** What the app answers. Throws a `DOMException` if its user refuses, or the session ends. */
  async request<T>(method: string, params: object): Promise<T> {
    const id = ++this.#last
    const sealed = await this.#sealed.seal({ jsonrpc: '2.0', id, method, params })
    const answer = (await this.#sealed.open(await answerTo(this.#socket, sealed))) as Answer
    if (answer.error || answer.id !== id)
      throw new DOMException(answer.error?.message ?? 'an answer to nothing', 'NotAllowedError')
    return answer.result as T
  }
}

/** HELLO_REQ and HELLO_RSP: a key that the holder of the association key and the app have agreed on. */
async function agreed(socket: WebSocket, association: CryptoKey, token: Bytes): Promise<Sealed> {
  const own = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: P256 }, false, ['deriveBits'])
  const point = await raw(own.publicKey)
  const signature = await crypto.subtle.sign(ECDSA, association, point)
  const hello = await answerTo(socket, joined(point, new Uint8Array(signature)))
  const sealed = await Sealed.between(own.privateKey, hello.slice(0, POINT_BYTES), token)
  // Apps of protocol 1 say nothing of the session. They are years old, and not supported.
  const { v } = (await sealed.open(hello.slice(POINT_BYTES))) as { v?: string | number }
  if (!['1', 'v1'].includes(String(v))) throw new WalletAppFault('ended', `protocol ${v} is not known`)
  return sealed
}

/** The next message after this one was sent. */
function answerTo(socket: WebSocket, message: Bytes): Promise<Bytes> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => socket.close(), ANSWER_WITHIN_MS)
    const closed = () => {
      clearTimeout(late)
      reject(new WalletAppFault('ended', 'the wallet app has ended the session'))
    }
    if (socket.readyState !== WebSocket.OPEN) return closed()
    const heard = ({ data }: MessageEvent<ArrayBuffer>) => {
      clearTimeout(late)
      socket.removeEventListener('close', closed)
      resolve(new Uint8Array(data))
    }
    socket.addEventListener('close', closed, { once: true })
    socket.addEventListener('message', heard, { once: true })
    socket.send(message)
  })
}

const raw = async (key: CryptoKey): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.exportKey('raw', key))
