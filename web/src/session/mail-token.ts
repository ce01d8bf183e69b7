import { useEffect, useState } from 'react'

/** What stands after the `#` of a mailed link: there no server and no log sees it. It leaves the address bar at once. */
export function useMailToken(): string {
  const [token] = useState(() => location.hash.slice(1))
  useEffect(() => {
    if (location.hash) history.replaceState(null, '', location.pathname + location.search)
  }, [])
  return token
}

/** The token in what somebody pasted: it alone, or the whole link. */
export const tokenIn = (pasted: string): string => pasted.trim().split('#').at(-1) ?? ''
