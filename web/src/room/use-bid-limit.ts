import { useEffect, useState } from 'react'
import { rest } from '../server/rest'
import { useSession } from '../session/use-session'
import { BASE_UNITS } from '../text/text'

/** Until the user's own limit is known, and where it can't be: the server's default. */
const DEFAULT = 100 * BASE_UNITS

/** The amount above which the user wants to be asked before a bid is sent, in base units; infinite: never. */
export function useBidLimit(): number {
  const user = useSession()?.id
  const [limit, setLimit] = useState(DEFAULT)
  useEffect(() => {
    if (user === undefined) return setLimit(DEFAULT)
    const stop = new AbortController()
    rest('get', '/users/me/preferences', { signal: stop.signal })
      .then(({ confirm_bids_above }) => setLimit(confirm_bids_above ?? Number.POSITIVE_INFINITY))
      .catch(() => undefined)
    return () => stop.abort()
  }, [user])
  return limit
}
