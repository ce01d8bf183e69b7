import { useEffect, useSyncExternalStore } from 'react'
import { SCREENS, type Screen } from './screens'
import { text } from './text/text'

export interface Route {
  screen: Screen
  params: Record<string, string>
  query: URLSearchParams
}

// Stands for the own origin, wherever the app is served.
const ORIGIN = 'http://app.invalid'
const ID = '[0-9a-v]{13}'
// What may stand in a path, by its name; another one is any text.
const PARTS: Record<string, string> = {
  auction: ID,
  card: ID,
  mint: ID,
  trade: ID,
  username: '[A-Za-z0-9_-]{3,30}',
}

const PATTERNS = SCREENS.map((screen) => ({
  screen,
  pattern: new RegExp(
    `^${screen.path.replace(/\{(\w+)\}/g, (_, name: string) => `(?<${name}>${PARTS[name] ?? '[^/]+'})`)}$`,
  ),
}))

const listeners = new Set<() => void>()
const href = () => location.pathname + location.search

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  addEventListener('popstate', listener)
  return () => {
    listeners.delete(listener)
    removeEventListener('popstate', listener)
  }
}

/** Go to another page; `stay`: only what this page shows changes, so neither the focus nor the place moves. */
export function navigate(to: string, { replace = false, stay = false } = {}): void {
  history[replace ? 'replaceState' : 'pushState'](null, '', to)
  if (!replace && !stay) scrollTo(0, 0)
  for (const listener of [...listeners]) listener()
  if (stay) return
  // Whoever hears the page, or uses the keyboard, begins at its content.
  document.getElementById('content')?.focus({ preventScroll: true })
}

/** The screen at an address of this app; undefined if there is none. */
export function routeOf(address: string): Route | undefined {
  const { pathname, searchParams } = new URL(address, ORIGIN)
  for (const { screen, pattern } of PATTERNS) {
    const found = pattern.exec(pathname)
    if (found) return { screen, params: { ...found.groups }, query: searchParams }
  }
  return undefined
}

/** Where to go after a log-in: only to a page of this app, never to another site. */
export function ownPath(wanted: string | null): string {
  if (wanted === null || !wanted.startsWith('/') || !URL.canParse(wanted, ORIGIN)) return '/'
  const { origin, pathname, search } = new URL(wanted, ORIGIN)
  return origin === ORIGIN && routeOf(pathname) ? pathname + search : '/'
}

export const useAddress = (): string => useSyncExternalStore(subscribe, href)

/** The title of the page, where it says more than that of its screen. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · ${text.brand}`
  }, [title])
}
