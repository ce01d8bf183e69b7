import { useSyncExternalStore } from 'react'

/** Chromium's event, which no library of types has. */
interface InstallEvent extends Event {
  prompt(): Promise<void>
  userChoice: Promise<{ outcome: 'accepted' | 'dismissed' }>
}

let offered: InstallEvent | undefined
const listeners = new Set<() => void>()

function set(event: InstallEvent | undefined): void {
  offered = event
  for (const listener of [...listeners]) listener()
}

/** Keep the browser's offer until somebody asks for it. */
export function awaitInstallOffer(): void {
  addEventListener('beforeinstallprompt', (event) => {
    event.preventDefault()
    set(event as InstallEvent)
  })
  addEventListener('appinstalled', () => set(undefined))
}

export const isInstalled = (): boolean => matchMedia('(display-mode: standalone)').matches

/** Asks the browser to install the app; undefined where it offers that not, or not now. */
export function useInstall(): (() => Promise<void>) | undefined {
  const event = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => offered,
  )
  return (
    event &&
    (async () => {
      await event.prompt()
      // An offer is good once.
      set(undefined)
    })
  )
}
