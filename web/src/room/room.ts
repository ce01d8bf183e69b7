import {
  type AuctionState,
  applyAuctionEvent,
  type BidData,
  type ExtendedData,
  type Update,
} from 'ece-socket'
import type { BidItem } from '../server/rest'

export const LADDER_MAX = 1_000
/** A tap so soon after the price changed was meant for the old one. */
export const SETTLE_MS = 300

export interface Extension {
  byMs: number
  reason: ExtendedData['reason']
  /** Tells one extension from the next. */
  seq: number
}

/** What one knows of an auction that one watches. */
export interface Room {
  auction: AuctionState | undefined
  /** By seq, oldest first; the newest LADDER_MAX. */
  bids: readonly BidItem[]
  /** Bids were missed: ask for them. */
  stale: boolean
  watchers: number | undefined
  extension: Extension | undefined
  /** This machine's time of the last change of the price. */
  pricedAt: number
  missing: boolean
}

export type LoadedRoom = Room & { auction: AuctionState }

export const EMPTY_ROOM: Room = {
  auction: undefined,
  bids: [],
  stale: true,
  watchers: undefined,
  extension: undefined,
  pricedAt: Number.NEGATIVE_INFINITY,
  missing: false,
}

/** The room after an update of its channel, which came at `now` (this machine's clock, ms). */
export function afterUpdate(room: Room, update: Update<AuctionState>, now: number): Room {
  switch (update.kind) {
    case 'signal':
      return room
    case 'watchers':
      return { ...room, watchers: update.watchers }
    case 'refused':
      return { ...room, missing: update.error.code === 'not_found' }
    case 'state': {
      const missed = room.auction === undefined || update.state.bids > room.auction.bids
      const next = { ...room, auction: update.state, stale: room.stale || missed }
      return priced(room, { ...next, watchers: update.watchers ?? room.watchers }, now)
    }
    case 'event': {
      if (!room.auction) return room
      const { event } = update
      const next = { ...room, auction: applyAuctionEvent(room.auction, event) }
      if (event.type === 'bid') {
        const { bidder, price, outcome } = event.data as unknown as BidData
        next.bids = withBids(room.bids, [{ seq: event.seq, at: event.at, bidder, price, outcome }])
      }
      if (event.type === 'extended') {
        const { ends_at, reason } = event.data as unknown as ExtendedData
        next.extension = { byMs: ends_at - room.auction.ends_at, reason, seq: event.seq }
      }
      return priced(room, next, now)
    }
  }
}

/** All missing bids have been asked for; those that came meanwhile in a state alone are missing still. */
export function afterAsking(room: Room): Room {
  return { ...room, stale: room.bids.length < Math.min(room.auction?.bids ?? 0, LADDER_MAX) }
}

/** Bids that were asked for, beside those that came by themselves; what is known of each is kept. */
export function withBids(known: readonly BidItem[], more: readonly BidItem[]): readonly BidItem[] {
  const last = known.at(-1)
  // Most come one by one, as the next one.
  if (last && more.every(({ seq }, index) => seq > (more[index - 1] ?? last).seq))
    return [...known, ...more].slice(-LADDER_MAX)
  const bySeq = new Map(known.map((bid) => [bid.seq, bid]))
  for (const bid of more) bySeq.set(bid.seq, { ...bySeq.get(bid.seq), ...bid })
  return [...bySeq.values()].sort((one, other) => one.seq - other.seq).slice(-LADDER_MAX)
}

function priced(before: Room, after: Room, now: number): Room {
  const changed = before.auction !== undefined && before.auction.minimum !== after.auction?.minimum
  return changed ? { ...after, pricedAt: now } : after
}
