import { Problem } from '../server/problem'
import { keepSessionBy, ownName, plain, type Schema } from '../server/rest'
import { csrfToken } from './csrf'
import * as kept from './kept'

/**
 * Who is logged in. The tokens are in cookies that no script can read; everything that knows how a log-in is kept stands
 * in this folder's `session`, `kept` and `csrf`. All tabs are one session: what one of them learns, the others hear.
 */
export interface Session {
  id: string
  username: string
  /** As of the log-in or the last renewal: what the menu offers. The server decides who may do what. */
  roles: readonly string[]
}

const RENEW_BEFORE_MS = 60_000
const LOCK = 'ece-session'

let session: Session | undefined
let renewing: Promise<boolean> | undefined
const listeners = new Set<() => void>()
const renewed = new Set<() => void>()

export const currentSession = (): Session | undefined => session

export function onSession(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** The cookies are others now: whatever was bound to the old ones, as a socket is, has to begin again. */
export function onRenewed(listener: () => void): () => void {
  renewed.add(listener)
  return () => renewed.delete(listener)
}

/** The session that the browser has from before, if it has one. Resolves when that is known. */
export async function restore(): Promise<void> {
  keepSessionBy({ ready: async () => void (await ensureFresh()), csrf: csrfToken, refused, factorAsked })
  kept.onOtherTab(follow)
  if (kept.isLoggedOut()) await tellLogOut()
  if (csrfToken() === undefined || kept.isLoggedOut()) return kept.forget()
  const found = kept.read()
  if (found) set(found)
  else await renew().catch(() => false)
}

export type Tokens = Schema<'Tokens'>

export async function register(email: string, username: string, password: string): Promise<void> {
  await plain('/auth/register', { email, username, password })
  await begun(await plain('/auth/login', { login: username, password }))
}

/** What every way to log in ends with: the answer's cookies are set, and here one learns whose they are. */
export async function begun({ expires_in }: Tokens): Promise<void> {
  kept.forgetLogOut()
  const renewAt = Date.now() + expires_in * 1000 - RENEW_BEFORE_MS
  // Kept only with the name: the page may be left before that comes, and would be nobody's when it is loaded again.
  const { id, username, roles } = await ownName()
  kept.write({ id, username, roles, renewAt })
  set({ id, username, roles })
  for (const listener of [...renewed]) listener()
}

/** Ends the session for all tabs, on all gateways. */
export async function logOut(): Promise<void> {
  kept.noteLogOut()
  await tellLogOut()
  forget()
}

let telling: Promise<void> | undefined
/** The cookies go with the answer: as long as there is none, they are renewed by nobody, and it is asked for again. */
function tellLogOut(): Promise<void> {
  telling ??= plain('/auth/logout', {})
    .then(kept.forgetLogOut, (error: unknown) => {
      if (isOver(error)) kept.forgetLogOut()
    })
    .finally(() => {
      telling = undefined
    })
  return telling
}

/** Whether there are cookies that are good for a while. */
export async function ensureFresh(): Promise<boolean> {
  if (kept.isLoggedOut()) await tellLogOut()
  const found = kept.read()
  if (!found || csrfToken() === undefined) return false
  return Date.now() < found.renewAt || renew()
}

/** The next cookies, once for all tabs. False: the session is over. Rejects where the server can't be asked. */
export function renew(): Promise<boolean> {
  renewing ??= withLock(renewHere).finally(() => {
    renewing = undefined
  })
  return renewing
}

async function renewHere(before: number | undefined): Promise<boolean> {
  // Another tab was first.
  const now = kept.read()
  if (now && now.renewAt !== before && Date.now() < now.renewAt) return true
  if (csrfToken() === undefined || kept.isLoggedOut()) return end()
  try {
    await begun(await plain('/auth/refresh', {}))
    return true
  } catch (error) {
    if (!isOver(error)) throw error
    return end()
  }
}

/** The server has no such session, so there is nothing to be asked again. */
const isOver = (error: unknown): boolean =>
  error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429

async function withLock(work: (before: number | undefined) => Promise<boolean>): Promise<boolean> {
  const before = kept.read()?.renewAt
  return navigator.locks ? navigator.locks.request(LOCK, () => work(before)) : work(before)
}

/** It is over: cookies that are still here would only be refused. */
async function end(): Promise<boolean> {
  if (csrfToken() !== undefined) await plain('/auth/logout', {}).catch(() => undefined)
  forget()
  return false
}

/** A request was refused as if one were nobody: with new cookies, or as a guest, it may succeed. */
async function refused(): Promise<boolean> {
  if (csrfToken() === undefined && !session) return false
  await renew().catch(() => false)
  return true
}

let askFactor: () => Promise<boolean> = async () => false
/** Who asks people for a code. */
export const askFactorBy = (given: () => Promise<boolean>): void => {
  askFactor = given
}
let asking: Promise<boolean> | undefined
/** Once for all requests that need a code now. */
function factorAsked(): Promise<boolean> {
  asking ??= askFactor().finally(() => {
    asking = undefined
  })
  return asking
}

function follow(): void {
  set(kept.read())
  for (const listener of [...renewed]) listener()
}

function forget(): void {
  kept.forget()
  if (!session) return
  set(undefined)
  for (const listener of [...renewed]) listener()
}

const told = (of: Session | undefined): Session | undefined =>
  of && { id: of.id, username: of.username, roles: of.roles }

function set(next: Session | undefined): void {
  if (JSON.stringify(told(next)) === JSON.stringify(told(session))) return
  session = told(next)
  for (const listener of [...listeners]) listener()
}
