import { wayOf } from './caching'
import { parsedMessage, shownMessage } from './push-message'

/** The files of this version of the app, and its name: the build writes them here. */
declare const FILES: readonly string[]
declare const VERSION: string
declare const self: ServiceWorkerGlobalScope

const SHELL = `shell-${VERSION}`
const PICTURES = 'pictures'
/** Where pages keep the language: a worker has no localStorage. */
const SETTINGS = 'settings'
const CACHES = new Set([SHELL, PICTURES, SETTINGS])
const PICTURES_MAX = 300
/** A network that is slower than that is as good as none, where the page is here. */
const PAGE_WITHIN_MS = 4_000
const FROM_PROXIES = new Set([502, 504])

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(['/', ...FILES])))
})

self.addEventListener('activate', (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) if (!CACHES.has(name)) await caches.delete(name)
      await self.clients.claim()
    })(),
  )
})

self.addEventListener('message', (event) => {
  // The user has agreed to the new version.
  if (event.data === 'activate') event.waitUntil(self.skipWaiting())
})

self.addEventListener('fetch', (event) => {
  const way = wayOf(event.request, self.location.origin)
  if (way === 'page') event.respondWith(page(event.request))
  if (way === 'asset') event.respondWith(asset(event.request))
  if (way === 'picture') event.respondWith(picture(event, event.request))
})

/** From the server; the one of this version where that can't be reached. */
async function page(request: Request): Promise<Response> {
  const asked = fetch(request)
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, PAGE_WITHIN_MS))
  const found = await Promise.race([asked, late]).catch(() => undefined)
  if (found && !FROM_PROXIES.has(found.status)) return found
  return (await caches.match('/', { cacheName: SHELL })) ?? asked
}

async function asset(request: Request): Promise<Response> {
  return (await caches.match(request, { cacheName: SHELL })) ?? fetch(request)
}

async function picture(event: FetchEvent, request: Request): Promise<Response> {
  const cache = await caches.open(PICTURES)
  const known = await cache.match(request)
  if (known) return known
  const found = await fetch(request)
  if (found.status === 200) event.waitUntil(keepPicture(cache, request, found.clone()))
  return found
}

async function keepPicture(cache: Cache, request: Request, found: Response): Promise<void> {
  await cache.put(request, found)
  const known = await cache.keys()
  // The oldest first.
  for (const old of known.slice(0, Math.max(0, known.length - PICTURES_MAX))) await cache.delete(old)
}

self.addEventListener('push', (event) => {
  const message = parsedMessage(event.data?.text() ?? '')
  if (!message) return
  event.waitUntil(
    (async () => {
      const { title, options } = shownMessage(message, await locale())
      await self.registration.showNotification(title, options)
    })(),
  )
})

async function locale(): Promise<string> {
  const kept = await caches.match('/locale', { cacheName: SETTINGS })
  return (await kept?.text()) ?? self.navigator.language.slice(0, 2)
}

self.addEventListener('notificationclick', (event) => {
  event.notification.close()
  const { page } = event.notification.data as { page: string }
  event.waitUntil(open(page))
})

/** In a window of the app that is open; else in a new one. */
async function open(page: string): Promise<void> {
  const windows = await self.clients.matchAll({ type: 'window' })
  const shown = windows.find(({ visibilityState }) => visibilityState === 'visible') ?? windows[0]
  if (!shown) return void (await self.clients.openWindow(page))
  shown.postMessage({ open: page })
  await shown.focus().catch(() => undefined)
}
