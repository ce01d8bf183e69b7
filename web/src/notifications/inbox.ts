import { useSyncExternalStore } from 'react'
import { socket } from '../connection'
import { newKey } from '../server/key'
import { rest, type Schema } from '../server/rest'
import { currentSession, onSession } from '../session/session'

export type Notification = Schema<'NotificationItem'>

/** How many are unread, live, for every part of the page; undefined for guests and until it is known. */
let unread: number | undefined
let turn = 0
const listeners = new Set<() => void>()
const arrivals = new Set<() => void>()

function set(value: number | undefined): void {
  unread = value
  for (const listener of [...listeners]) listener()
}

async function refresh(): Promise<void> {
  const mine = ++turn
  const found = await rest('get', '/notifications', { query: { limit: 1 } }).catch(() => undefined)
  if (mine === turn && found) set(found.unread)
}

let leave: (() => void) | undefined
/** Follow the channel of whoever is logged in, from now on. */
export function followInbox(): void {
  const follow = () => {
    leave?.()
    const user = currentSession()
    turn++
    set(undefined)
    leave = user && socket.follow(`user:${user.id}`, arrived)
  }
  onSession(follow)
  follow()
}

function arrived(): void {
  void refresh()
  for (const listener of [...arrivals]) listener()
}

/** Something has come. */
export function onArrival(listener: () => void): () => void {
  arrivals.add(listener)
  return () => arrivals.delete(listener)
}

export async function markRead(what: { ids: string[] } | { up_to: number }): Promise<void> {
  const { unread: left } = await rest('post', '/notifications/read', { key: newKey(), body: what })
  turn++
  set(left)
}

export function useUnread(): number | undefined {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => unread,
  )
}
