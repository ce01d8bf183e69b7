import { expect, test } from 'vitest'
import { decisive, type LogItem, stepsOf, verdictOf } from '../src/auction-log/steps'
import { rulePrinciple, ruleText } from '../src/auction-log/words'

const USD = 1_000_000
let seq = 0
const item = (type: string, data: object, amount?: number): LogItem =>
  ({ seq: ++seq, at: seq, type, data, ...(amount !== undefined && { amount }) }) as LogItem
const bid = (bidder: string, price: number, outcome: string, amount?: number) =>
  item('bid', { bidder, price, minimum: price + 1, outcome }, amount)
const listed = item('listed', { seller: 'ann', starting_price: USD, ends_at: 100_000 })
const closed = (winner: string | null, price: number, reason = 'time') =>
  item('closed', { reason, sold: winner !== null, winner, price })

const BOB = { name: 'bob', own: false }
const CYD = { name: 'cyd', own: true }

test('each bid is told by the rule that decided it', () => {
  const log = [
    listed,
    bid('bob', USD, 'leading', 5 * USD),
    bid('cyd', 3.25 * USD, 'outbid', 3 * USD),
    bid('bob', 3.25 * USD, 'leading', 8 * USD),
    bid('cyd', 8.5 * USD, 'leading', 20 * USD),
    bid('bob', 20 * USD, 'won'),
  ]
  expect(stepsOf(log, 'cyd').map(({ rule }) => rule)).toEqual([
    { kind: 'listed', seller: 'ann', startingPrice: USD },
    { kind: 'first', bidder: BOB, amount: 5 * USD },
    { kind: 'defended', bidder: CYD, leader: BOB, amount: 3 * USD, against: 5 * USD },
    { kind: 'raised', bidder: BOB, amount: 8 * USD },
    { kind: 'taken', bidder: CYD, leader: BOB, amount: 20 * USD, against: 8 * USD },
    { kind: 'bought', bidder: BOB, amount: undefined },
  ])
})

test('price, leader and end are those after the step', () => {
  const log = [
    listed,
    bid('bob', USD, 'leading'),
    bid('cyd', 3 * USD, 'outbid'),
    item('extended', { ends_at: 130_000, reason: 'soft_close' }),
  ]
  const last = stepsOf(log, undefined).at(-1)
  expect(last).toMatchObject({ price: 3 * USD, leader: BOB, endsAt: 130_000, own: false, isBid: false })
  expect(last?.rule).toEqual({ kind: 'extended', byMs: 30_000, reason: 'soft_close' })
})

test('what is hidden is not told: no maximum of others', () => {
  const log = [listed, bid('bob', USD, 'leading'), bid('cyd', 3 * USD, 'outbid', 3 * USD)]
  const rule = stepsOf(log, 'cyd').at(-1)?.rule
  expect(rule).toMatchObject({ amount: 3 * USD, against: undefined })
  expect(rule && rulePrinciple(rule)).not.toMatch(/\$/)
})

test('equal maxima have a rule of their own', () => {
  const log = [listed, bid('bob', USD, 'leading', 7 * USD), bid('cyd', 7 * USD, 'outbid', 7 * USD)]
  const steps = stepsOf([...log, closed('bob', 7 * USD)], 'cyd')
  const rule = steps[2]?.rule
  expect(rule && rulePrinciple(rule)).toContain('the earlier one leads')
  expect(rule && ruleText(rule, '$7.00')).toBe('You bid, and bob’s maximum answered: $7.00')
  expect(verdictOf(steps)).toEqual({ kind: 'equal', winner: 'bob', own: 7 * USD, winning: 7 * USD })
})

test('the loser is told both maxima, and begins where the lead was lost', () => {
  const log = [
    listed,
    bid('cyd', USD, 'leading', 5 * USD),
    bid('bob', 5.5 * USD, 'leading', 20 * USD),
    bid('eve', 9 * USD, 'outbid', 8 * USD),
    closed('bob', 9 * USD),
  ]
  const steps = stepsOf(log, 'cyd')
  expect(verdictOf(steps)).toEqual({ kind: 'lower', winner: 'bob', own: 5 * USD, winning: 20 * USD })
  expect(decisive(steps)).toBe(2)
})

test.each([
  ['nobody has won yet', [listed, bid('cyd', USD, 'leading')], 'running'],
  ['the user won', [listed, bid('cyd', USD, 'leading'), closed('cyd', USD)], 'won'],
  ['the user only watched', [listed, bid('bob', USD, 'leading'), closed('bob', USD)], 'watched'],
  ['the reserve was not met', [listed, bid('cyd', USD, 'leading'), closed(null, USD)], 'unsold'],
  ['it was cancelled', [listed, item('cancelled', {})], 'cancelled'],
  [
    'somebody bought it',
    [listed, bid('cyd', USD, 'leading'), bid('bob', 9 * USD, 'won'), closed('bob', 9 * USD, 'buy_now')],
    'bought',
  ],
] as const)('the verdict where %s', (_, log, kind) => {
  const steps = stepsOf(log, 'cyd')
  expect(verdictOf(steps).kind).toBe(kind)
})

test('an event of a newer server is a step without words of its own', () => {
  const steps = stepsOf([listed, item('newer', {})], 'cyd')
  expect(steps[1]).toMatchObject({ rule: { kind: 'other' }, price: USD })
})
