import { describe, expect, test } from 'vitest'
import { matches } from '../src/card/matches'
import { namePart } from '../src/trades/names'
import {
  afterUpdate,
  amountOf,
  isOffer,
  type Leg,
  legsBetween,
  type Negotiation,
  NOTHING_KNOWN,
  sidesOf,
  type TradeState,
  withState,
} from '../src/trades/negotiation'
import { areApart, paymentOf, walletOf } from '../src/trades/swap-terms'

const TRADE = {
  id: 't',
  version: 1,
  status: 'open',
  messages: [],
  messages_count: 0,
} as unknown as TradeState
const KNOWN: Negotiation = { ...NOTHING_KNOWN, trade: TRADE, epoch: 1, seq: 4 }

const event = (type: string, data: Record<string, unknown>, seq = 5) =>
  ({ kind: 'event', event: { channel: 'trade:t', epoch: 1, seq, type, at: 0, data } }) as const

describe('what is known of a trade', () => {
  test('a message is added, and whoever sent it no longer types', () => {
    const typing = { ann: 9_000, bob: 9_000 }
    const said = { number: 1, by: 'ann', text: 'Hello' }
    expect(afterUpdate({ ...KNOWN, typing }, event('message', said))).toEqual({
      ...KNOWN,
      seq: 5,
      typing: { bob: 9_000 },
      trade: { ...TRADE, messages: [said], messages_count: 1 },
    })
  })

  test('a message that was in a state of REST before it came by the channel stands once', () => {
    const said = { number: 1, by: 'ann', text: 'Hello' }
    const state = { ...TRADE, messages: [said], messages_count: 1 } as unknown as TradeState
    const known = withState(KNOWN, state, 1, 6)
    expect(afterUpdate(known, event('countered', {}, 5))).toBe(known)
    expect(afterUpdate(known, event('message', said, 6))).toBe(known)
  })

  test('no more messages are kept than the server has in a state', () => {
    let known = KNOWN
    for (let number = 1; number <= 31; number++)
      known = afterUpdate(known, event('message', { number, by: 'ann', text: 'x' }, 4 + number))
    expect(known.trade?.messages.map(({ number }) => number)).toEqual(
      Array.from({ length: 30 }, (_, place) => place + 2),
    )
    expect(known.trade?.messages_count).toBe(31)
  })

  test('any other event is a reason to ask for the state, and the state ends that', () => {
    const stale = afterUpdate(KNOWN, event('countered', {}))
    expect(stale).toEqual({ ...KNOWN, seq: 5, stale: true })
    expect(withState(stale, TRADE, 1, 5)).toEqual({ ...KNOWN, seq: 5, stale: false })
  })

  test('a state that is older than what is known is not taken, one of a later epoch is', () => {
    expect(withState(KNOWN, TRADE, 1, 3)).toBe(KNOWN)
    expect(withState(KNOWN, TRADE, 2, 1)).toMatchObject({ epoch: 2, seq: 1 })
  })

  test('signals say who is here and who types', () => {
    const signal = (type: string, data: Record<string, unknown>) =>
      ({ kind: 'signal', signal: { channel: 'trade:t', type, at: 0, data } }) as const
    expect(afterUpdate(KNOWN, signal('presence', { present: ['bob'] })).present).toEqual(['bob'])
    expect(afterUpdate(KNOWN, signal('typing', { by: 'bob', until: 7 })).typing).toEqual({ bob: 7 })
  })

  test('a trade of others is missing; another refusal is not that', () => {
    const refused = (code: 'not_found' | 'overloaded') =>
      ({ kind: 'refused', error: { code, message: '', server_time: 0 } }) as const
    expect(afterUpdate(NOTHING_KNOWN, refused('not_found')).missing).toBe(true)
    expect(afterUpdate(NOTHING_KNOWN, refused('overloaded')).missing).toBe(false)
  })
})

describe('an offer', () => {
  const none = { copies: [], money: 0 }
  const card = { copies: ['c1'], money: 0 }
  const money = { copies: [], money: 5_000_000 }

  test('needs something from each side, a card, and money one way at most', () => {
    expect(isOffer(card, { copies: ['c2'], money: 0 })).toBe(true)
    expect(isOffer(card, money)).toBe(true)
    expect(isOffer(card, none)).toBe(false)
    expect(isOffer(none, card)).toBe(false)
    expect(isOffer(money, money)).toBe(false)
    expect(isOffer({ ...card, money: 1 }, money)).toBe(false)
  })

  test('has a leg for each side that gives something', () => {
    const leg = { giver: 'me', receiver: 'ann', copies: ['c1'], money: 0, conditions: [] }
    expect(legsBetween('me', 'ann', card, none)).toEqual([leg])
    expect(legsBetween('me', 'ann', card, money)).toEqual([
      leg,
      { giver: 'ann', receiver: 'me', copies: [], money: 5_000_000, conditions: [] },
    ])
  })

  test('is divided into what one gives, what one gets, and what is between others', () => {
    const legs = [
      { giver: 'me', receiver: 'ann', copies: ['c1', 'c2'] },
      { giver: 'ann', receiver: 'bob', money: 3 },
      { giver: 'bob', receiver: 'me', conditions: [{}], money: 4 },
    ] as Leg[]
    expect(sidesOf(legs, 'me')).toEqual({ gives: [legs[0]], gets: [legs[2]], others: [legs[1]] })
    expect(amountOf(legs)).toEqual({ copies: 3, money: 7 })
  })
})

test('a copy matches where each word is in its name, set or number', () => {
  const copy = { name: 'Moon Fish', set: 'sea2', number: '12' }
  for (const wanted of ['', ' ', 'moon', 'FISH sea', '12 moon']) expect(matches(copy, wanted)).toBe(true)
  for (const wanted of ['sun', 'moon 13']) expect(matches(copy, wanted)).toBe(false)
})

describe('whom one searches', () => {
  test.each([
    ['an', 'an'],
    [' @Ann_1 ', 'Ann_1'],
    ['a', undefined],
    ['ann b', undefined],
    ['ünn', undefined],
    ['x'.repeat(31), undefined],
  ])('%j is searched as %j', (typed, part) => {
    expect(namePart(typed)).toBe(part)
  })
})

describe('a swap between wallets', () => {
  const holders = new Map([
    ['a1', 'wallet-a'],
    ['a2', 'wallet-a'],
    ['b1', 'wallet-b'],
  ])

  test('is from the wallet that holds the cards of a side, or the one that was named for none', () => {
    expect(walletOf(['a1', 'a2'], holders, 'named')).toBe('wallet-a')
    expect(walletOf([], holders, 'named')).toBe('named')
    expect(walletOf([], holders, '')).toBeUndefined()
  })

  test('has no wallet while a holder is unknown, nor for cards of several', () => {
    expect(walletOf(['a1', 'unknown'], holders, 'named')).toBeUndefined()
    expect(walletOf(['a1', 'b1'], holders, 'named')).toBeUndefined()
    expect([areApart(['a1', 'b1'], holders), areApart(['a1', 'unknown'], holders)]).toEqual([true, false])
  })

  test('is paid by the sum of its payments, which says what of it is fee and royalty', () => {
    const pay = (purpose: 'sale' | 'fee' | 'royalty', amount: number) =>
      ({ kind: 'payment', purpose, amount, giver: 'a', taker: 'b' }) as const
    const card = { kind: 'card', copy: 'c', asset: 'x', giver: 'b', taker: 'a', price: 100 } as const
    const legs = [card, pay('sale', 80), pay('fee', 5), pay('royalty', 10), pay('royalty', 5)]
    expect(paymentOf(legs)).toEqual({ paid: 100, fee: 5, royalties: 15 })
    expect(paymentOf([card])).toEqual({ paid: 0, fee: 0, royalties: 0 })
  })
})
