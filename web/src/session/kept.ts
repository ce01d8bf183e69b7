/** What this browser remembers of a session, for all tabs: whose it is, and their roles, and until when its cookies are good. No token. */
export interface Kept {
  id: string
  username: string
  roles: string[]
  renewAt: number
}

const KEY = 'session'
const LOGGED_OUT = 'logged-out'

export function read(): Kept | undefined {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? 'null') as Kept | null
    const whole = found?.id && typeof found.username === 'string' && Array.isArray(found.roles)
    return whole && typeof found.renewAt === 'number' ? found : undefined
  } catch {
    return undefined
  }
}

export const write = (kept: Kept): void => localStorage.setItem(KEY, JSON.stringify(kept))
export const forget = (): void => localStorage.removeItem(KEY)

/** The user has logged out, and the server may not know it yet. */
export const isLoggedOut = (): boolean => localStorage.getItem(LOGGED_OUT) !== null
export const noteLogOut = (): void => localStorage.setItem(LOGGED_OUT, 'yes')
export const forgetLogOut = (): void => localStorage.removeItem(LOGGED_OUT)

export function onOtherTab(listener: () => void): void {
  const before = localStorage.getItem(KEY)
  // Browsers take some ten milliseconds to begin with this; the first screen need not wait for it.
  setTimeout(() => {
    addEventListener('storage', (event) => {
      if (event.key === KEY || event.key === null) listener()
    })
    if (localStorage.getItem(KEY) !== before) listener()
  })
}
