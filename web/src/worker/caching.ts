/** How the service worker answers a request; undefined: not at all, the browser asks the server. */
export type Way = 'page' | 'asset' | 'picture'

const ASSETS = /^\/(?:assets\/|icon\.svg$)/
// Their names stand for their content for good.
const PICTURES = /^\/(?:media\/cards|content)\//
const NOT_PAGES = /^\/(?:api|docs|media|content|assets|ws|metrics|healthz|readyz)(?:\/|$)/

/** Answers of the API are never among them: they belong to a user. */
export function wayOf(
  request: { method: string; mode: string; url: string },
  origin: string,
): Way | undefined {
  const url = new URL(request.url)
  if (request.method !== 'GET' || url.origin !== origin) return undefined
  if (request.mode === 'navigate') return NOT_PAGES.test(url.pathname) ? undefined : 'page'
  if (ASSETS.test(url.pathname)) return 'asset'
  return PICTURES.test(url.pathname) ? 'picture' : undefined
}
