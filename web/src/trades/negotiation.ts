import type { Legs, SignalFrame, TradeState, Update } from 'ece-socket'

import type { Schema } from '../server/rest'

export type { TradeState }
export type Leg = Legs[number]
/** A leg with all its fields, as REST takes it. */
export type WholeLeg = Schema<'LegBody'>
export type Status = TradeState['status']
export type Party = TradeState['parties'][number]
/** Once a trade is over, it is followed no more closely than a page that is opened. */
export const OVER: ReadonlySet<Status> = new Set([
  'declined',
  'withdrawn',
  'expired',
  'invalid',
  'failed',
  'completed',
  'reversed',
])
/** As many messages as a state of the server has. */
const MESSAGES_MAX = 30

/** What one knows of a trade that one is a party of. */
export interface Negotiation {
  trade: TradeState | undefined
  epoch: number
  seq: number
  /** Something happened that this does not work out by itself: ask for the state. */
  stale: boolean
  /** The ids of the parties that have this trade open. */
  present: readonly string[]
  /** Until when (the server's time) each party is known to type, by their ids. */
  typing: Readonly<Record<string, number>>
  missing: boolean
}

export const NOTHING_KNOWN: Negotiation = {
  trade: undefined,
  epoch: 0,
  seq: 0,
  stale: false,
  present: [],
  typing: {},
  missing: false,
}

/** What is known after an update of the channel. */
export function afterUpdate(known: Negotiation, update: Update<TradeState>): Negotiation {
  switch (update.kind) {
    case 'watchers':
      return known
    case 'refused':
      return { ...known, missing: update.error.code === 'not_found' }
    case 'signal':
      return afterSignal(known, update.signal)
    case 'state':
      return withState(known, update.state, update.epoch, update.seq)
    case 'event': {
      const { epoch, seq, type, data } = update.event
      // REST asks the host, and may know what the channel brings later.
      if (epoch === known.epoch && seq <= known.seq) return known
      const next = { ...known, epoch, seq }
      if (type !== 'message' || !known.trade) return { ...next, stale: true }
      const said = data as unknown as TradeState['messages'][number]
      const { [said.by]: _, ...typing } = known.typing
      const messages = [...known.trade.messages, said].slice(-MESSAGES_MAX)
      return { ...next, typing, trade: { ...known.trade, messages, messages_count: said.number } }
    }
  }
}

/** A state of the server, unless something newer is known. */
export function withState(known: Negotiation, trade: TradeState, epoch: number, seq: number): Negotiation {
  if (known.trade && epoch === known.epoch && seq < known.seq) return known
  return { ...known, trade, epoch, seq, stale: false }
}

function afterSignal(known: Negotiation, { type, data }: SignalFrame): Negotiation {
  if (type === 'presence') return { ...known, present: data.present as string[] }
  if (type === 'typing')
    return { ...known, typing: { ...known.typing, [data.by as string]: data.until as number } }
  return known
}

export const nameIn = (trade: TradeState, id: string): string =>
  trade.parties.find((party) => party.id === id)?.username ?? id

export const othersIn = (trade: TradeState, me: string): Party[] =>
  trade.parties.filter(({ id }) => id !== me)

export interface Amounts {
  copies: number
  money: number
}

/** How many copies, and how much money, these legs are. */
export function amountOf(legs: readonly Leg[]): Amounts {
  return {
    copies: legs.reduce((sum, leg) => sum + (leg.copies?.length ?? 0) + (leg.conditions?.length ?? 0), 0),
    money: legs.reduce((sum, leg) => sum + (leg.money ?? 0), 0),
  }
}

/** What one gives, what one gets, and what is between others. */
export function sidesOf(legs: readonly Leg[], me: string) {
  return {
    gives: legs.filter(({ giver }) => giver === me),
    gets: legs.filter(({ receiver }) => receiver === me),
    others: legs.filter(({ giver, receiver }) => giver !== me && receiver !== me),
  }
}

export interface Side {
  copies: readonly string[]
  money: number
}

/** The legs of an offer between two users; nothing is no leg. */
export function legsBetween(me: string, other: string, gives: Side, gets: Side): WholeLeg[] {
  return [leg(me, other, gives), leg(other, me, gets)].filter(
    ({ copies, money }) => copies.length > 0 || money > 0,
  )
}

const leg = (giver: string, receiver: string, { copies, money }: Side): WholeLeg => ({
  giver,
  receiver,
  copies: [...copies],
  money,
  conditions: [],
})

/** Each side gives something, at least one of them a card, and money goes one way: else the server refuses. */
export function isOffer(gives: Side, gets: Side): boolean {
  const given = (side: Side) => side.copies.length > 0 || side.money > 0
  const moneyBothWays = gives.money > 0 && gets.money > 0
  const cards = gives.copies.length + gets.copies.length > 0
  return given(gives) && given(gets) && cards && !moneyBothWays
}
