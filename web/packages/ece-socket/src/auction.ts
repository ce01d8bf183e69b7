import type { AuctionState, BidData, ClosedData, EventFrame, ExtendedData } from './frames'

/** The auction after an event, as everyone may see it: the same that the server's next `state` says. */
export function applyAuctionEvent(state: AuctionState, event: EventFrame): AuctionState {
  switch (event.type) {
    case 'opened':
      return { ...state, status: 'open' }
    case 'bid':
      return afterBid(state, event.data as unknown as BidData)
    case 'reserve_met':
      return { ...withoutBuyNow(state), reserve: 'met' }
    case 'extended':
      return { ...state, ends_at: (event.data as unknown as ExtendedData).ends_at }
    case 'closed':
      return afterClose(state, event)
    case 'settled':
      return { ...state, settled: true }
    case 'cancelled':
      return { ...withoutBuyNow(state), status: 'cancelled' }
    default:
      // A newer server may have events that this client doesn't know.
      return state
  }
}

function afterBid(state: AuctionState, bid: BidData): AuctionState {
  const next = {
    ...state,
    price: bid.price,
    minimum: bid.minimum,
    bids: state.bids + 1,
    leader: bid.outcome === 'outbid' ? state.leader : bid.bidder,
  }
  // Buy-now ends with the first bid, or, with a hidden reserve, once that is met.
  return next.reserve === 'unmet' ? next : withoutBuyNow(next)
}

function afterClose(state: AuctionState, event: EventFrame): AuctionState {
  const { reason, winner, price } = event.data as unknown as ClosedData
  const ended: AuctionState = { ...withoutBuyNow(state), status: 'closed', price, closed_reason: reason }
  if (winner === null) return ended
  // A buy-now price is at least the reserve.
  return { ...ended, winner, reserve: state.reserve === 'none' ? 'none' : 'met' }
}

function withoutBuyNow(state: AuctionState): AuctionState {
  const { buy_now: _, ...rest } = state
  return rest
}
