import { useSyncExternalStore } from 'react'
import { navigate, ownPath } from '../router'

/** New versions are also found when somebody opens the app; this is for pages that stay open. */
const CHECK_MS = 15 * 60_000
/** On a first visit the first screen comes first: a new worker fetches the files of all others. */
const AFTER_LOAD_MS = 2_000

let registered: Promise<ServiceWorkerRegistration | undefined> = Promise.resolve(undefined)
let waiting: ServiceWorker | undefined
const listeners = new Set<() => void>()

/** The worker of this site; undefined where the browser has none for it. */
export const workerRegistration = (): Promise<ServiceWorkerRegistration | undefined> => registered

/** Works offline, gets push messages, and hears of new versions. Not while developing: there every file changes. */
export function registerWorker(): void {
  const container = navigator.serviceWorker as ServiceWorkerContainer | undefined
  if (!container || import.meta.env.DEV) return
  container.addEventListener('message', ({ data }: MessageEvent<{ open?: string }>) => {
    if (typeof data.open === 'string') navigate(ownPath(data.open))
  })
  registered = (container.controller ? Promise.resolve() : loaded())
    .then(() => container.register('/service-worker.js', { updateViaCache: 'none' }))
    .catch(() => undefined)
  void registered.then((found) => found && follow(container, found))
}

function loaded(): Promise<void> {
  return new Promise((resolve) => {
    const soon = () => setTimeout(resolve, AFTER_LOAD_MS)
    if (document.readyState === 'complete') soon()
    else addEventListener('load', soon, { once: true })
  })
}

function follow(container: ServiceWorkerContainer, registration: ServiceWorkerRegistration): void {
  const look = () => {
    // The first worker of this browser replaces none.
    waiting = container.controller ? (registration.waiting ?? undefined) : undefined
    for (const listener of [...listeners]) listener()
  }
  registration.addEventListener('updatefound', () =>
    registration.installing?.addEventListener('statechange', look),
  )
  look()
  const check = () => void registration.update().catch(() => undefined)
  addEventListener('online', check)
  setInterval(check, CHECK_MS)
}

/** The page begins anew, as the new version. */
export function useNewVersion(): (() => void) | undefined {
  const found = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => waiting,
  )
  return (
    found &&
    (() => {
      navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true })
      found.postMessage('activate')
    })
  )
}
