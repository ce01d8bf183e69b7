import { useSyncExternalStore } from 'react'
import { keepOfflineBy, rest } from '../server/rest'
import { currentSession, onSession } from '../session/session'
import { text } from '../text/text'
import { toast } from '../ui/toast'
import * as database from './database'
import { isKept, mayWait } from './rules'

/** `asOf`: the oldest answer on the page that is not from now; `turn` counts how often the page has to ask again. */
interface Offline {
  asOf: number | undefined
  turn: number
}

let offline: Offline = { asOf: undefined, turn: 0 }
const listeners = new Set<() => void>()

function set(next: Offline): void {
  offline = next
  for (const listener of [...listeners]) listener()
}

const user = () => currentSession()?.id ?? ''

/** Without a network, answers from before are shown, and what can wait is done later. */
export function keepForOffline(): void {
  keepOfflineBy({
    asked(address) {
      if (!isKept(address)) return undefined
      const whose = user()
      return (body) => {
        // Who has logged out meanwhile leaves nothing behind.
        if (whose === user())
          void database.keepAnswer({ user: whose, address, body, at: Date.now() }).catch(() => undefined)
      }
    },
    async unreachable(verb, address) {
      if (verb === 'get') return isKept(address) ? before(address) : undefined
      return mayWait(verb, address) ? later(verb as 'put' | 'delete', address) : undefined
    },
  })
  onSession(() => {
    // Of whoever was here before.
    if (!currentSession()) void database.forgetAll().catch(() => undefined)
  })
}

async function before(address: string): Promise<{ body: unknown } | undefined> {
  const found = await database.keptAnswer(user(), address).catch(() => undefined)
  if (found) set({ ...offline, asOf: Math.min(offline.asOf ?? found.at, found.at) })
  return found
}

async function later(verb: 'put' | 'delete', address: string): Promise<{ body: unknown } | undefined> {
  const kept = await database.keepAction({ user: user(), verb, address }).catch(() => false)
  if (!kept) return undefined
  toast(text.device.waits)
  return { body: undefined }
}

/** The connection is back: do what has waited, and let the page ask again for what was old. */
export async function backOnline(): Promise<void> {
  const waiting = await database.waitingActions().catch(() => [])
  let count = 0
  for (const { id, user: whose, verb, address } of waiting) {
    await database.dropAction(id)
    // What is refused now is not asked for again: it was about something that has changed.
    if (whose === user() && (await sent(verb, address))) count++
  }
  if (count > 0) toast(text.device.doneLater(count))
  if (offline.asOf !== undefined) set({ asOf: undefined, turn: offline.turn + 1 })
}

async function sent(verb: 'put' | 'delete', address: string): Promise<boolean> {
  const [, , , what = '', ...parts] = address.split('/')
  const [kind = '', id = ''] = parts.map(decodeURIComponent)
  const work =
    what === 'watches'
      ? rest(verb, '/users/me/watches/{kind}/{id}', { path: { kind: kind as 'auction' | 'card', id } })
      : rest(verb, '/users/me/following/{username}', { path: { username: kind } })
  return work.then(
    () => true,
    () => false,
  )
}

export function useOffline(): Offline {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => offline,
  )
}
