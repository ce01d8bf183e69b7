// The answers of every store.
export const accepted = (amount, seq) => ({ ok: true, current: amount, seq })

export const refused = (reason, auction) => ({ ok: false, reason, current: Number(auction?.current ?? 0) })

// Why the auction, a row or undefined, does not take this amount now; null when it does.
export function whyNot(auction, amount) {
  if (!auction) return 'not_found'
  if (auction.ends_at <= new Date()) return 'auction_closed'
  return BigInt(amount) <= BigInt(auction.current) ? 'bid_too_low' : null
}
