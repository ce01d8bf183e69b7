import { expect, test } from 'vitest'
import { csvOf, DAY_MS, everyDay, type Report } from '../src/analytics/days'

const sums = {
  bids: 3, auctions: 1, wins: 1, copies_bought: 1, spent: 1_500_000, auctions_sold: 0, copies_sold: 0,
  gross: 0, fees: 0, royalties: 0, net: -1, volume: 1_500_000,
} // biome-ignore format: a table
const report: Report = {
  as_of: 1,
  currency: 'USDC',
  from: 10 * DAY_MS,
  to: 13 * DAY_MS - 1,
  total: sums,
  win_rate_bp: 10_000,
  days: [{ day: 11 * DAY_MS, ...sums }],
}

test('days without anything are shown as zero', () => {
  expect(everyDay(report, 'spent').map(({ value }) => value)).toEqual([0, 1_500_000, 0])
})

test('the export has a head, and money with a point', () => {
  expect(csvOf(report)).toBe(
    'day,bids,auctions,wins,spent_USDC,gross_USDC,fees_USDC,royalties_USDC,net_USDC,volume_USDC\r\n' +
      '1970-01-12,3,1,1,1.500000,0.000000,0.000000,0.000000,-0.000001,1.500000\r\n',
  )
})
