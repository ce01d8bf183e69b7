const PROTOCOL = 'com.solana.mobilewalletadapter.v1'
// Of the ports that the protocol allows (from 49,152 on), those that Linux does not give to outgoing connections.
const PORT_MIN = 61_000
const PORTS = 4_536
/** The app that opens takes the focus. Without an app nothing happens. */
const OPENED_WITHIN_MS = 5_000
/** It may be chosen among several, and have to be unlocked. */
const ANSWERS_WITHIN_MS = 30_000
const TRY_EVERY_MS = 250

/** Nothing was signed, and why. */
export class WalletAppFault extends DOMException {
  readonly reason: 'missing' | 'blocked' | 'ended'

  constructor(reason: WalletAppFault['reason'], message: string) {
    super(message, 'NotAllowedError')
    this.reason = reason
  }
}

export const randomPort = (): number =>
  PORT_MIN + ((crypto.getRandomValues(new Uint16Array(1))[0] ?? 0) % PORTS)

export function associationUri(token: string, port: number): string {
  const urlSafe = token.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
  return `solana-wallet:/v1/associate/local?association=${urlSafe}&port=${port}&v=v1`
}

/** Opens a wallet app of this device, and connects to the server that it starts. */
export async function associated(uri: string, port: number): Promise<WebSocket> {
  await permitted(port)
  const began = Date.now()
  let within = OPENED_WITHIN_MS
  const opened = () => {
    within = ANSWERS_WITHIN_MS
  }
  addEventListener('blur', opened)
  try {
    location.assign(uri)
    for (;;) {
      const socket = await attempt(port)
      if (socket) return socket
      if (Date.now() - began > within) throw new WalletAppFault('missing', 'no wallet app has answered')
      await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS))
    }
  } finally {
    removeEventListener('blur', opened)
  }
}

/**
 * Chrome asks its user whether a page may connect to apps of the device, at the first attempt to. That attempt is made
 * while the page is still in front: behind the wallet app nobody would see the question.
 */
async function permitted(port: number): Promise<void> {
  if ((await permission()) === 'prompt') (await attempt(port))?.close()
  if ((await permission()) === 'denied') throw new WalletAppFault('blocked', 'the browser does not allow it')
}

/** Of browsers that don't ask: granted. */
const permission = (): Promise<PermissionState> =>
  navigator.permissions.query({ name: 'loopback-network' as PermissionName }).then(
    ({ state }) => state,
    () => 'granted',
  )

function attempt(port: number): Promise<WebSocket | undefined> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://localhost:${port}/solana-wallet`, PROTOCOL)
    socket.binaryType = 'arraybuffer'
    const late = setTimeout(() => socket.close(), ANSWERS_WITHIN_MS)
    const ended = (found?: WebSocket) => {
      clearTimeout(late)
      resolve(found)
    }
    socket.addEventListener('open', () => ended(socket), { once: true })
    socket.addEventListener('close', () => ended(), { once: true })
  })
}
