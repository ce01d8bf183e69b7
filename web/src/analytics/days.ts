import type { Schema } from '../server/rest'
import { formatTag } from '../text/locale'

export type Report = Schema<'ActivityReport'>
export type Day = Schema<'ActivityDay'>
export type Measure = 'bids' | 'wins' | 'spent' | 'volume'

export const MEASURES: readonly Measure[] = ['bids', 'wins', 'spent', 'volume']
export const DAY_MS = 86_400_000
const COLUMNS = ['bids', 'auctions', 'wins', 'spent', 'gross', 'fees', 'royalties', 'net', 'volume'] as const
const MONEY = new Set<string>(['spent', 'gross', 'fees', 'royalties', 'net', 'volume'])
const BASE_UNITS = 1_000_000

/** A day of UTC as people write it: in their own time zone its first moment may be of the day before. */
export const utcDay = (atMs: number, short = false): string =>
  new Intl.DateTimeFormat(formatTag(), {
    timeZone: 'UTC',
    ...(short ? { day: 'numeric', month: 'numeric' } : { dateStyle: 'medium' }),
  }).format(atMs)

/** Every day of the report with its figure: the server lists those alone that have one. Milliseconds, base units. */
export function everyDay(report: Report, measure: Measure): { at: number; value: number }[] {
  const known = new Map(report.days.map((one) => [one.day, one[measure]]))
  const days = Math.floor((report.to + 1 - report.from) / DAY_MS)
  return Array.from({ length: days }, (_, index) => {
    const at = report.from + index * DAY_MS
    return { at, value: known.get(at) ?? 0 }
  })
}

/** A row a day with something in it; days of UTC, money with a point in the report's currency. */
export function csvOf(report: Report): string {
  const head = ['day', ...COLUMNS.map((name) => (MONEY.has(name) ? `${name}_${report.currency}` : name))]
  const rows = report.days.map((one) => [
    new Date(one.day).toISOString().slice(0, 10),
    ...COLUMNS.map((name) => (MONEY.has(name) ? (one[name] / BASE_UNITS).toFixed(6) : String(one[name]))),
  ])
  return [head, ...rows].map((row) => `${row.join(',')}\r\n`).join('')
}
