import { type AuctionState, applyAuctionEvent } from 'ece-socket'
import { useEffect, useState } from 'react'
import { socket } from '../connection'
import type { ListedAuction } from '../server/rest'

/** A listed auction as it is now: from its channel while it is `watched`. */
export function useLiveAuction(listed: ListedAuction, watched: boolean): AuctionState {
  const [live, setLive] = useState<AuctionState | undefined>()
  useEffect(() => {
    if (!watched) return setLive(undefined)
    return socket.followAuction(listed.id, (update) => {
      if (update.kind === 'state') setLive(update.state)
      if (update.kind === 'event') setLive((state) => state && applyAuctionEvent(state, update.event))
    })
  }, [listed.id, watched])
  return live ?? (listed as AuctionState)
}
