import { EceSocket, type Status } from 'ece-socket'
import { useSyncExternalStore } from 'react'
import { backOnline } from './offline/offline'
import { rest } from './server/rest'
import { currentSession, ensureFresh, onRenewed, renew } from './session/session'

const RENEW_CHECK_MS = 30_000

export interface Connection {
  status: Status
  latencyMs: number | undefined
  /** The server's time of the last moment at which the connection was there; undefined before the first. */
  asOf: number | undefined
}

const listeners = new Set<() => void>()
let connection: Connection = {
  status: { kind: 'connecting' },
  latencyMs: undefined,
  asOf: undefined,
}

const address = new URL('/ws', location.href)
address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:'

export const socket = new EceSocket({
  url: address.href,
  cookie: (refused) => (refused ? renew() : ensureFresh()),
  onStatus(status) {
    const wasOpen = connection.status.kind === 'open'
    const asOf = status.kind === 'open' || wasOpen ? socket.clock.now() : connection.asOf
    connection = { status, latencyMs: socket.clock.latencyMs, asOf }
    for (const listener of [...listeners]) listener()
    if (status.kind === 'open' && !wasOpen) void backOnline()
    // Perhaps the session was ended elsewhere: a request tells, and then the page goes on as a guest's.
    if (status.kind === 'stopped' && status.reason !== 'closed' && currentSession())
      void rest('get', '/users/me').catch(() => undefined)
  },
})

/** Connect, and follow what the page knows: the session, the network, and whether someone looks. */
export function connect(): void {
  // A socket is bound to the cookies of its handshake.
  onRenewed(() => socket.reconnect())
  addEventListener('online', () => socket.open())
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && socket.status.kind === 'waiting') socket.open()
  })
  // A socket outlives its cookies, and would refuse bids: renewed in time, they bring a new one.
  setInterval(() => void ensureFresh().catch(() => undefined), RENEW_CHECK_MS)
  socket.open()
}

export function useConnection(): Connection {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => connection,
  )
}
