import { rest, type Schema } from '../server/rest'
import { currentSession, onSession } from '../session/session'
import { currentLocale, onLocale } from '../text/locale'
import { workerRegistration } from '../worker/registration'

export type Device = Schema<'SubscriptionItem'>
/** `blocked`: the user has told the browser no; `missing`: this browser has no push messages here. */
export type PushState = 'missing' | 'blocked' | 'off' | 'on'

async function manager(): Promise<PushManager | undefined> {
  return (await workerRegistration())?.pushManager
}

export const ownSubscription = async (): Promise<PushSubscription | undefined> =>
  (await (await manager())?.getSubscription()) ?? undefined

export async function pushState(): Promise<PushState> {
  if (!(await manager()) || !('Notification' in window)) return 'missing'
  if (Notification.permission === 'denied') return 'blocked'
  return (await ownSubscription()) ? 'on' : 'off'
}

/** After a tap: browsers ask only then. Whether the user allowed it; rejects where browser or engine can't. */
export async function turnOn(): Promise<boolean> {
  const push = await manager()
  if (!push || (await Notification.requestPermission()) !== 'granted') return false
  const { public_key } = await rest('get', '/push/key')
  await announce(await subscribed(push, bytesOf(public_key)))
  return true
}

async function subscribed(push: PushManager, key: Uint8Array<ArrayBuffer>): Promise<PushSubscription> {
  const wanted = { userVisibleOnly: true, applicationServerKey: key }
  try {
    return await push.subscribe(wanted)
  } catch (error) {
    // One that was made with another key of the engine is in the way.
    const old = await push.getSubscription()
    if (!old) throw error
    await old.unsubscribe()
    return push.subscribe(wanted)
  }
}

async function announce(subscription: PushSubscription): Promise<void> {
  const { endpoint, keys } = subscription.toJSON()
  const body = { endpoint: endpoint ?? '', keys: { p256dh: keys?.p256dh ?? '', auth: keys?.auth ?? '' } }
  await rest('put', '/users/me/push-subscriptions', { body })
}

/** No more messages to a device: this one's subscription ends, too. */
export async function turnOff(device: Device): Promise<void> {
  await rest('delete', '/users/me/push-subscriptions/{subscription_id}', {
    path: { subscription_id: device.id },
  })
  const own = await ownSubscription()
  if (own?.endpoint === device.endpoint) await own.unsubscribe()
}

/** Whoever uses this browser next gets no messages, and sees none, of whom it was. */
async function leave(): Promise<void> {
  const registration = await workerRegistration()
  if (!registration) return
  await (await registration.pushManager?.getSubscription())?.unsubscribe()
  for (const shown of await registration.getNotifications()) shown.close()
}

/** A subscription belongs to a session: it is told to the engine with each new one, and ends with it. */
export function bindPushToSession(): void {
  const follow = async () => {
    if (!currentSession()) return leave()
    const own = await ownSubscription()
    if (own) await announce(own)
  }
  const quietly = () => void follow().catch(() => undefined)
  onSession(quietly)
  quietly()
  const tell = () => void tellLocale(currentLocale()).catch(() => undefined)
  onLocale(tell)
  tell()
}

/** The worker has no localStorage: it reads there in which language it speaks. */
async function tellLocale(locale: string): Promise<void> {
  if (await workerRegistration()) await (await caches.open('settings')).put('/locale', new Response(locale))
}

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0))
}
