import type { AuctionState, EventFrame } from 'ece-socket'
import { expect, test } from 'vitest'
import { stepPath } from '../src/auction/step-path'
import { timeLeft, urgencyOf } from '../src/auction/time-left'
import { afterReply, fateOf, leastBid, quickAmounts, standingOf } from '../src/room/bidding'
import { afterAsking, afterUpdate, EMPTY_ROOM, withBids } from '../src/room/room'
import { money, parseMoney, typedMoney } from '../src/text/text'

const USD = 1_000_000
const AUCTION: AuctionState = {
  id: '0paeqifrs0003',
  format: 'english',
  title: 'Charizard',
  seller: 'ann',
  status: 'open',
  price: 10 * USD,
  minimum: 10.5 * USD,
  leader: 'bob',
  bids: 1,
  reserve: 'none',
  starts_at: 0,
  ends_at: 100_000,
  server_time: 0,
  placement: 'shared',
}
const ROOM = afterUpdate(EMPTY_ROOM, { kind: 'state', state: AUCTION, at: 0, epoch: 1, seq: 3 }, 0)
const event = (type: string, data: object, seq = 4): EventFrame => ({
  channel: 'auction:x',
  epoch: 1,
  seq,
  at: 50,
  type,
  data: data as never,
})

test('a bid raises the price, leads, and stands in the list', () => {
  const data = { bidder: 'cyd', price: 12 * USD, minimum: 12.5 * USD, outcome: 'leading' }
  const room = afterUpdate(ROOM, { kind: 'event', event: event('bid', data) }, 7_000)
  expect(room.auction).toMatchObject({ leader: 'cyd', price: 12 * USD, minimum: 12.5 * USD, bids: 2 })
  expect(room.bids).toEqual([{ seq: 4, at: 50, bidder: 'cyd', price: 12 * USD, outcome: 'leading' }])
  expect(room.pricedAt).toBe(7_000)
})

test('a bid below the leader’s maximum raises the price, and the leader stays', () => {
  const data = { bidder: 'cyd', price: 12 * USD, minimum: 12.5 * USD, outcome: 'outbid' }
  expect(afterUpdate(ROOM, { kind: 'event', event: event('bid', data) }, 0).auction?.leader).toBe('bob')
})

test('what leaves the price as it is does not hold up a tap', () => {
  const room = afterUpdate(
    ROOM,
    { kind: 'event', event: event('extended', { ends_at: 160_000, reason: 'soft_close' }) },
    9_000,
  )
  expect(room.pricedAt).toBe(ROOM.pricedAt)
  expect(room.extension).toEqual({ byMs: 60_000, reason: 'soft_close', seq: 4 })
  expect(room.auction?.ends_at).toBe(160_000)
})

test('a state that has more bids than the list asks for them', () => {
  const asked = { ...ROOM, stale: false }
  const state = { ...AUCTION, bids: 5 }
  expect(afterUpdate(asked, { kind: 'state', state, at: 0, epoch: 1, seq: 9 }, 0).stale).toBe(true)
})

test('bids that came in a state while the others were asked for are asked for again', () => {
  const bid = { seq: 4, at: 50, bidder: 'cyd', price: 12, outcome: 'leading' as const }
  expect(afterAsking({ ...ROOM, bids: [bid] }).stale).toBe(false)
  expect(afterAsking({ ...ROOM, auction: { ...AUCTION, bids: 2 }, bids: [bid] }).stale).toBe(true)
})

test('the end says who won', () => {
  const data = { reason: 'time', sold: true, winner: 'bob', price: 10 * USD }
  const { auction } = afterUpdate(ROOM, { kind: 'event', event: event('closed', data) }, 0)
  expect(auction).toMatchObject({ status: 'closed', winner: 'bob', closed_reason: 'time' })
})

test('what was bought below a hidden reserve was sold: the reserve is met', () => {
  const hidden = { ...ROOM, auction: { ...AUCTION, reserve: 'unmet', buy_now: 20 * USD } as AuctionState }
  const bought = { bidder: 'cyd', price: 20 * USD, minimum: 20.5 * USD, outcome: 'won' }
  const closed = { reason: 'buy_now', sold: true, winner: 'cyd', price: 20 * USD }
  const room = afterUpdate(hidden, { kind: 'event', event: event('bid', bought) }, 0)
  const ended = afterUpdate(room, { kind: 'event', event: event('closed', closed, 5) }, 0)
  expect(ended.auction).toMatchObject({ status: 'closed', winner: 'cyd', reserve: 'met' })
  const unsold = { reason: 'time', sold: false, winner: null, price: 10 * USD }
  const left = afterUpdate(hidden, { kind: 'event', event: event('closed', unsold) }, 0)
  expect(left.auction?.reserve).toBe('unmet')
})

test('bids that come twice stand once, and keep one’s own amount', () => {
  const bid = { seq: 4, at: 50, bidder: 'cyd', price: 12, outcome: 'leading' as const }
  expect(withBids([{ ...bid, amount: 20 }], [bid, { ...bid, seq: 3 }])).toEqual([
    { ...bid, seq: 3 },
    { ...bid, amount: 20 },
  ])
})

test('a page of older bids stands before the known ones', () => {
  const bid = (seq: number) => ({ seq, at: seq, bidder: 'cyd', price: seq, outcome: 'leading' as const })
  const seqs = withBids([bid(7), bid(8)], [bid(6), bid(5)]).map(({ seq }) => seq)
  expect(seqs).toEqual([5, 6, 7, 8])
})

test('one stands where the server says, whatever one’s own last answer was', () => {
  expect(standingOf(AUCTION, 'bob', true)).toBe('leading')
  expect(standingOf(AUCTION, 'cyd', true)).toBe('outbid')
  expect(standingOf(AUCTION, 'cyd', false)).toBe('none')
  expect(standingOf(AUCTION, undefined, false)).toBe('none')
})

test('a leader has to exceed their own maximum', () => {
  expect(leastBid(AUCTION, 'leading', 20 * USD)).toBe(20.5 * USD)
  expect(leastBid(AUCTION, 'outbid', 20 * USD)).toBe(10.5 * USD)
})

test('the least bid is an amount that one can type, and not below a minimum with parts of a cent', () => {
  const minimum = 10.5 * USD + 1
  const least = leastBid({ ...AUCTION, minimum }, 'outbid', undefined)
  expect(least).toBe(10.51 * USD)
  expect(parseMoney(typedMoney(least))).toBe(least)
})

test('quick amounts rise, and begin at the least one', () => {
  for (const least of [0.05, 0.99, 10.5, 437.8, 2_960.48, 100_000].map((dollars) => dollars * USD)) {
    const [first, second, third] = quickAmounts(least)
    expect(first).toBe(least)
    expect(second).toBeGreaterThan(first)
    expect(third).toBeGreaterThan(second)
    expect([second, third].every(Number.isInteger)).toBe(true)
  }
})

test('a refusal keeps the amount and says why', () => {
  const error = {
    code: 'insufficient_funds',
    message: 'm',
    server_time: 1,
    available: 7,
    required: 9,
  } as const
  expect(afterReply(9, { id: 1, ok: false, error })).toEqual({
    kind: 'refused',
    amount: 9,
    code: 'insufficient_funds',
    message: 'm',
    available: 7,
  })
})

test.each([
  [0, '0.0'],
  [-5, '0.0'],
  [9_449, '9.4'],
  [9_999, '9.9'],
  [10_000, '0:10'],
  [61_999, '1:01'],
  [3_600_000, '1:00:00'],
  [93_784_000, '1d 02h'],
])('%d ms are left: %s', (left, text) => expect(timeLeft(left)).toBe(text))

test('urgency follows the time left', () => {
  expect([9_000, 200_000, 400_000].map(urgencyOf)).toEqual(['now', 'soon', 'calm'])
})

test.each([
  ['12.50', 12.5],
  ['12,5', 12.5],
  ['$1,200', 1_200],
  ['7', 7],
  ['1,200.05', 1_200.05],
  [' 3 ', 3],
])('%s is an amount', (typed, dollars) => expect(parseMoney(typed)).toBe(Math.round(dollars * USD)))

test.each(['', 'x', '1.234', '-5', '1e3', '12.5.1', '9999999999'])('%s is no amount', (typed) =>
  expect(parseMoney(typed)).toBeUndefined(),
)

test('money is written as people write it, and read back the same', () => {
  expect([money(1_250_000), money(2 * USD, true), money(1_234_500_000)]).toEqual(['$1.25', '$2', '$1,234.50'])
  expect([2 * USD, 12.5 * USD, 0.05 * USD].map((amount) => parseMoney(typedMoney(amount)))).toEqual([
    2 * USD,
    12.5 * USD,
    0.05 * USD,
  ])
})

test('the chart steps: level until a bid, then straight up', () => {
  const { line } = stepPath(
    [
      { at: 0, price: 1 },
      { at: 100, price: 3 },
    ],
    100,
    50,
  )
  expect(line).toBe('M0 50H92V0H100')
})

test('the leading bid leads, then it has won, or was only the highest', () => {
  expect(fateOf(AUCTION)).toBe('leads')
  expect(fateOf({ ...AUCTION, status: 'closed', winner: 'bob' })).toBe('won')
  expect(fateOf({ ...AUCTION, status: 'closed', reserve: 'unmet' })).toBe('highest')
  expect(fateOf({ ...AUCTION, status: 'cancelled' })).toBe('highest')
})
