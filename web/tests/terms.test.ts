import { expect, test } from 'vitest'
import { type Draft, faultsOf, termsOf } from '../src/sell/terms'

const DRAFT: Draft = {
  copies: ['0paeqifrs0003'],
  title: ' Charizard ',
  start: '10',
  reserve: '',
  buyNow: '',
  duration: 'day',
  softClose: false,
  beginsAt: '',
}
const NOW = Date.parse('2026-11-29T12:00')

test('a draft becomes the terms in base units', () => {
  expect(faultsOf(DRAFT, NOW)).toEqual({})
  expect(termsOf({ ...DRAFT, reserve: '12.50', buyNow: '20', softClose: true })).toEqual({
    title: 'Charizard',
    format: 'english',
    placement: 'auto',
    starting_price: 10_000_000,
    reserve_price: 12_500_000,
    buy_now_price: 20_000_000,
    duration_ms: 86_400_000,
    soft_close: { window_ms: 120_000, extension_ms: 120_000 },
    copies: ['0paeqifrs0003'],
  })
})

test.each([
  [{ copies: [] }, { copies: 'copies' }],
  [{ title: '  ' }, { title: 'title' }],
  [{ start: '' }, { start: 'amount' }],
  [{ start: '0' }, { start: 'amount' }],
  [{ reserve: 'much' }, { reserve: 'amount' }],
  [{ reserve: '9.99' }, { reserve: 'reserve' }],
  [{ buyNow: '9.99' }, { buyNow: 'buyNow' }],
  [{ reserve: '20', buyNow: '19' }, { buyNow: 'buyNow' }],
  [{ beginsAt: '2026-11-29T11:59' }, { beginsAt: 'past' }],
] as const)('%o has the fault %o', (change, faults) => {
  expect(faultsOf({ ...DRAFT, ...change }, NOW)).toEqual(faults)
})
