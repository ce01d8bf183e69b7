const BASE_MS = 250
const MAX_MS = 10_000
const RESTART_SPREAD_MS = 500
const CLOSE_RESTARTING = 1012
export const CLOSE_TOKEN = 4501

export type AfterClose = 'reconnect' | 'renew' | 'stop'

/** What a close code asks a client to do (docs/protocol.md): 4500–4999 say don't come back. */
export function afterClose(code: number): AfterClose {
  if (code === CLOSE_TOKEN) return 'renew'
  return code >= 4500 && code <= 4999 ? 'stop' : 'reconnect'
}

/**
 * How long to wait before attempt number `attempt` (from 0), in ms. Full jitter: clients that lost the same gateway
 * don't come back together. A gateway that restarts said so: the first attempt is nearly at once.
 */
export function reconnectDelayMs(attempt: number, code: number, random: () => number = Math.random): number {
  if (code === CLOSE_RESTARTING && attempt === 0) return random() * RESTART_SPREAD_MS
  return random() * Math.min(MAX_MS, BASE_MS * 2 ** Math.min(attempt, 10))
}
