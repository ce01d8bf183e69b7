import type { AuctionState, Update } from 'ece-socket'
import { useEffect, useReducer, useRef } from 'react'
import { socket } from '../connection'
import { type BidItem, type BidPage, rest } from '../server/rest'
import { useSession } from '../session/use-session'
import { afterAsking, afterUpdate, EMPTY_ROOM, LADDER_MAX, type Room, withBids } from './room'

const PAGE = 100
const REFETCH_MS = 2_000

type Action =
  | { kind: 'update'; update: Update<AuctionState>; now: number }
  | { kind: 'bids'; bids: BidItem[] }
  | { kind: 'stale' }
  | { kind: 'asked' }
  | { kind: 'leave' }

function reduce(room: Room, action: Action): Room {
  switch (action.kind) {
    case 'update':
      return afterUpdate(room, action.update, action.now)
    case 'bids':
      return { ...room, bids: withBids(room.bids, action.bids) }
    case 'asked':
      return afterAsking(room)
    case 'stale':
      return { ...room, stale: true }
    case 'leave':
      return EMPTY_ROOM
  }
}

/** An auction as it happens, with its bids. */
export function useRoom(id: string): Room {
  const [room, dispatch] = useReducer(reduce, EMPTY_ROOM)
  const user = useSession()?.id
  useEffect(() => {
    const leave = socket.followAuction(id, (update) =>
      dispatch({ kind: 'update', update, now: performance.now() }),
    )
    return () => {
      leave()
      dispatch({ kind: 'leave' })
    }
  }, [id])

  // Whose own bids they are has changed: those have an amount.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the user is why
  useEffect(() => dispatch({ kind: 'stale' }), [user])

  const askedAt = useRef(Number.NEGATIVE_INFINITY)
  const wanted = room.stale && room.auction !== undefined
  // The newest bid before the first one that may be missing.
  const known = useRef(0)
  if (!room.stale) known.current = room.bids.at(-1)?.seq ?? 0
  const askedFor = useRef<string | undefined>(undefined)
  useEffect(() => {
    if (!wanted) return
    const stop = new AbortController()
    const wait = Math.max(0, askedAt.current + REFETCH_MS - performance.now())
    let timer = setTimeout(load, wait)
    async function load() {
      askedAt.current = performance.now()
      // Of another user: their own bids have an amount that the known ones lack.
      const about = `${id} ${user}`
      const since = askedFor.current === about ? known.current : 0
      const bids = (page: BidItem[]) => stop.signal.aborted || dispatch({ kind: 'bids', bids: page })
      try {
        await newestBids(id, since, bids, stop.signal)
        askedFor.current = about
        dispatch({ kind: 'asked' })
      } catch {
        // Again, below.
      }
      if (!stop.signal.aborted) timer = setTimeout(load, REFETCH_MS)
    }
    return () => {
      clearTimeout(timer)
      stop.abort()
    }
  }, [wanted, id, user])
  return room
}

/** The newest bids, page by page: down to `since`, or LADDER_MAX of them. */
async function newestBids(
  auction: string,
  since: number,
  take: (page: BidItem[]) => void,
  signal: AbortSignal,
): Promise<void> {
  let cursor: string | null = null
  let asked = 0
  do {
    const page: BidPage = await rest('get', '/auctions/{auction_id}/bids', {
      path: { auction_id: auction },
      query: { order: 'newest', limit: PAGE, cursor },
      signal,
    })
    take(page.items)
    asked += page.items.length
    cursor = (page.items.at(-1)?.seq ?? 0) > since ? page.next_cursor : null
  } while (cursor !== null && asked < LADDER_MAX)
}
