import type { BidData, ClosedData, ExtendedData, ListedData } from 'ece-socket'
import type { Schema } from '../server/rest'

export type LogItem = Schema<'LogItem'>

export interface Bidder {
  name: string
  own: boolean
}

/** Which rule decided a step. `amount` and `against` are maxima, in base units, where they may be seen. */
export type Rule =
  | { kind: 'listed'; seller: string; startingPrice: number }
  | { kind: 'opened' | 'reserve' | 'settled' | 'cancelled' | 'other' }
  | { kind: 'first' | 'bought' | 'raised'; bidder: Bidder; amount?: number | undefined }
  | {
      kind: 'taken' | 'defended'
      bidder: Bidder
      /** Who led before. */
      leader: Bidder
      amount?: number | undefined
      against?: number | undefined
    }
  | { kind: 'extended'; byMs: number; reason: ExtendedData['reason'] }
  | { kind: 'closed'; reason: ClosedData['reason']; winner: Bidder | undefined }

/** One event of the log: what it changed, and why. */
export interface Step {
  seq: number
  at: number
  rule: Rule
  /** After it; base units. */
  price: number
  leader: Bidder | undefined
  endsAt: number
  /** It is a bid of the user's. */
  own: boolean
  isBid: boolean
}

interface Before extends Pick<Step, 'price' | 'leader' | 'endsAt'> {
  /** The leader's maximum, where it may be seen. */
  maximum: number | undefined
}

/** The steps of an auction's log from its beginning, as `me` sees them (undefined: a guest). */
export function stepsOf(log: readonly LogItem[], me: string | undefined): Step[] {
  let before: Before = { price: 0, leader: undefined, endsAt: 0, maximum: undefined }
  return log.map((item) => {
    const [rule, after] = decided(item, before, me)
    before = after
    const own = 'bidder' in rule && rule.bidder.own
    return {
      seq: item.seq, at: item.at, rule, price: after.price, leader: after.leader, endsAt: after.endsAt, own,
      isBid: item.type === 'bid',
    } // biome-ignore format: two lines
  })
}

function decided(item: LogItem, before: Before, me: string | undefined): [Rule, Before] {
  const who = (name: string): Bidder => ({ name, own: name === me })
  switch (item.type) {
    case 'listed': {
      const { seller, starting_price, ends_at } = item.data as unknown as ListedData
      return [
        { kind: 'listed', seller, startingPrice: starting_price },
        { ...before, price: starting_price, endsAt: ends_at },
      ]
    }
    case 'bid':
      return bid(item, before, who)
    case 'extended': {
      const { ends_at, reason } = item.data as unknown as ExtendedData
      return [
        { kind: 'extended', byMs: ends_at - before.endsAt, reason },
        { ...before, endsAt: ends_at },
      ]
    }
    case 'closed': {
      const { reason, winner, price } = item.data as unknown as ClosedData
      const rule = { kind: 'closed', reason, winner: winner === null ? undefined : who(winner) } as const
      return [rule, { ...before, price }]
    }
    case 'reserve_met':
      return [{ kind: 'reserve' }, before]
    case 'opened':
    case 'settled':
    case 'cancelled':
      return [{ kind: item.type }, before]
    default:
      return [{ kind: 'other' }, before]
  }
}

function bid(item: LogItem, before: Before, who: (name: string) => Bidder): [Rule, Before] {
  const { bidder: name, price, outcome } = item.data as unknown as BidData
  const bidder = who(name)
  const amount = item.amount ?? undefined
  const leads = { ...before, price, leader: bidder, maximum: amount }
  if (outcome === 'won') return [{ kind: 'bought', bidder, amount }, leads]
  const { leader, maximum: against } = before
  if (!leader) return [{ kind: 'first', bidder, amount }, leads]
  if (leader.name === name) return [{ kind: 'raised', bidder, amount }, leads]
  if (outcome === 'outbid')
    return [
      { kind: 'defended', bidder, leader, amount, against },
      { ...before, price },
    ]
  return [{ kind: 'taken', bidder, leader, amount, against }, leads]
}

/** Why it ended for the user as it did. */
export type Verdict =
  | { kind: 'running' | 'watched' | 'won' | 'cancelled' | 'unsold' | 'bought' }
  | { kind: 'lower' | 'equal'; winner: string; own?: number | undefined; winning?: number | undefined }

export function verdictOf(steps: readonly Step[]): Verdict {
  if (steps.some(({ rule }) => rule.kind === 'cancelled')) return { kind: 'cancelled' }
  const closed = steps.map(({ rule }) => rule).find((rule) => rule.kind === 'closed')
  if (!closed) return { kind: 'running' }
  const { winner } = closed
  if (winner?.own) return { kind: 'won' }
  if (!steps.some(({ own }) => own)) return { kind: winner ? 'watched' : 'unsold' }
  if (!winner) return { kind: 'unsold' }
  if (closed.reason === 'buy_now') return { kind: 'bought' }
  const own = highest(steps, (bidder) => bidder.own)
  const winning = highest(steps, (bidder) => bidder.name === winner.name)
  const kind = own !== undefined && own === winning ? 'equal' : 'lower'
  return { kind, winner: winner.name, own, winning }
}

function highest(steps: readonly Step[], of: (bidder: Bidder) => boolean): number | undefined {
  const amounts = steps.flatMap(({ rule }) =>
    'bidder' in rule && of(rule.bidder) && rule.amount !== undefined ? [rule.amount] : [],
  )
  return amounts.length === 0 ? undefined : Math.max(...amounts)
}

/** The step at which the user lost, else the last one: where one begins to look. */
export function decisive(steps: readonly Step[]): number {
  const lost = steps.findLastIndex(
    ({ rule }) =>
      (rule.kind === 'taken' && rule.leader.own) ||
      (rule.kind === 'defended' && rule.bidder.own) ||
      (rule.kind === 'bought' && !rule.bidder.own),
  )
  const won = steps.some(({ rule }) => rule.kind === 'closed' && rule.winner?.own)
  const bidOnce = steps.some(({ own }) => own)
  return lost >= 0 && bidOnce && !won ? lost : Math.max(0, steps.length - 1)
}
