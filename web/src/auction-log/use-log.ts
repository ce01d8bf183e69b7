import { type Auction, rest } from '../server/rest'
import { useSession } from '../session/use-session'
import { type Loaded, useLoaded } from '../ui/loaded'
import type { LogItem } from './steps'

const PAGE = 100
const EVENTS_MAX = 3_000

export interface AuctionLog {
  auction: Auction
  items: LogItem[]
  /** There are more than EVENTS_MAX: these are the first ones. */
  cut: boolean
}

/** An auction and its log, as the user may see it. */
export function useLog(auction: string): Loaded<AuctionLog> {
  const user = useSession()?.id
  return useLoaded((signal) => load(auction, signal), [auction, user])
}

async function load(id: string, signal: AbortSignal): Promise<AuctionLog> {
  const path = { auction_id: id }
  const auction = await rest('get', '/auctions/{auction_id}', { path, signal })
  const items: LogItem[] = []
  let cursor: string | null = null
  do {
    const page: { items: LogItem[]; next_cursor: string | null } = await rest(
      'get',
      '/auctions/{auction_id}/log',
      { path, query: { limit: PAGE, cursor }, signal },
    )
    items.push(...page.items)
    cursor = page.next_cursor
  } while (cursor !== null && items.length < EVENTS_MAX)
  return { auction, items, cut: cursor !== null }
}
