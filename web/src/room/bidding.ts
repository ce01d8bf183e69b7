import type { AuctionState, CommandReply } from 'ece-socket'
import { BASE_UNITS } from '../text/text'

/** One's last bid, from the tap to its answer. */
export type Attempt =
  | { kind: 'none' }
  | { kind: 'sending'; amount: number; key: string }
  | { kind: 'leading' | 'outbid' | 'won'; amount: number; seq: number }
  | { kind: 'refused'; amount: number; code: string; message: string; available?: number }
  | { kind: 'unknown'; amount: number }

export function afterReply(amount: number, reply: CommandReply): Attempt {
  if (reply.ok) return { kind: reply.outcome, amount, seq: reply.seq }
  const { code, message, available } = reply.error
  return { kind: 'refused', amount, code, message, ...(available !== undefined && { available }) }
}

const CENT = BASE_UNITS / 100

export type Standing = 'none' | 'leading' | 'outbid'

/** Where the user stands, by what the server said last: the auction's leader, not one's own last answer. */
export function standingOf(auction: AuctionState, username: string | undefined, hasBid: boolean): Standing {
  if (username === undefined) return 'none'
  if (auction.leader === username) return 'leading'
  return hasBid ? 'outbid' : 'none'
}

/** What the leading bid is: of an auction that was cancelled, or whose reserve was not met, only the highest. */
export function fateOf({ status, winner }: AuctionState): 'leads' | 'won' | 'highest' {
  if (status === 'open') return 'leads'
  return winner ? 'won' : 'highest'
}

/** The least that a bid of this user must be, in whole cents; a leader has to exceed their own maximum. */
export function leastBid(auction: AuctionState, standing: Standing, maximum: number | undefined): number {
  const leads = standing === 'leading' && maximum !== undefined
  const least = leads ? Math.max(auction.minimum, maximum + stepOf(maximum)) : auction.minimum
  // A program may have bid parts of a cent, which nobody can type.
  return Math.ceil(least / CENT) * CENT
}

/** Three amounts to choose from, of which the first is the least one. */
export function quickAmounts(least: number): [number, number, number] {
  const step = stepOf(least)
  const round = (amount: number) => Math.ceil(amount / step) * step
  const second = Math.max(round(least * 1.1), round(least + 2 * step))
  const third = Math.max(round(least * 1.25), round(second + 2 * step))
  return [least, second, third]
}

// Steps that people count in; the server alone says what the minimum is.
const STEPS: readonly (readonly [number, number])[] = [
  [1, 0.05], [5, 0.25], [25, 0.5], [100, 1], [250, 2.5], [500, 5], [1_000, 10], [2_500, 25], [5_000, 50],
] // biome-ignore format: a table

function stepOf(amount: number): number {
  const row = STEPS.find(([below]) => amount < below * BASE_UNITS)
  return (row?.[1] ?? 100) * BASE_UNITS
}
