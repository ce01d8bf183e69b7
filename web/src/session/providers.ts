import { plain, rest } from '../server/rest'
import { begun } from './session'

/** What is remembered while one is at the provider: the proof that the log-in was begun here (PKCE), and where to go. */
interface Begun {
  verifier: string
  next: string
}
const KEY = 'provider-log-in'
const RETURN_PATH = '/login/return'
const VERIFIER_BYTES = 32

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=+$/, '')
}

/** Leave for the provider; it comes back to the page of `finishAtProvider`. */
export async function startAtProvider(provider: string, next: string): Promise<void> {
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(VERIFIER_BYTES)))
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))
  const { url } = await rest('get', '/auth/oidc/{provider}/start', {
    path: { provider },
    query: { return_to: location.origin + RETURN_PATH, code_challenge: base64url(new Uint8Array(digest)) },
  })
  sessionStorage.setItem(KEY, JSON.stringify({ verifier, next } satisfies Begun))
  location.assign(url)
}

/** The log-in that was begun in this tab, once. */
export function takeBegun(): Begun | undefined {
  const found = sessionStorage.getItem(KEY)
  sessionStorage.removeItem(KEY)
  return found === null ? undefined : (JSON.parse(found) as Begun)
}

export async function finishAtProvider(login_code: string, verifier: string): Promise<void> {
  await begun(await plain('/auth/oidc/token', { login_code, verifier }))
}
