import type { Schema } from '../server/rest'
import { parseMoney } from '../text/text'

type NewAuction = Schema<'NewAuction'>

const HOUR_MS = 3_600_000
export const DURATIONS_MS = {
  hour: HOUR_MS,
  sixHours: 6 * HOUR_MS,
  day: 24 * HOUR_MS,
  threeDays: 72 * HOUR_MS,
  fiveDays: 120 * HOUR_MS,
  week: 168 * HOUR_MS,
  tenDays: 240 * HOUR_MS,
} as const
export type Duration = keyof typeof DURATIONS_MS

const SOFT_CLOSE_MS = 120_000

/** What stands in the form. */
export interface Draft {
  copies: readonly string[]
  title: string
  start: string
  reserve: string
  buyNow: string
  duration: Duration
  softClose: boolean
  /** As a field of a date gives it, in local time; empty: now. */
  beginsAt: string
}

export type FaultyField = 'copies' | 'title' | 'start' | 'reserve' | 'buyNow' | 'beginsAt'
export type FaultCode = 'copies' | 'title' | 'amount' | 'reserve' | 'buyNow' | 'past'
export type Faults = Partial<Record<FaultyField, FaultCode>>

/** What is wrong with a draft: the rules of domain/auction/terms.py, which the server checks again. */
export function faultsOf(draft: Draft, now: number): Faults {
  const faults: Faults = {}
  const [start, reserve, buyNow] = [draft.start, draft.reserve, draft.buyNow].map((typed) =>
    parseMoney(typed),
  )
  if (draft.copies.length === 0) faults.copies = 'copies'
  if (draft.title.trim() === '') faults.title = 'title'
  if (!start) faults.start = 'amount'
  const least = start ?? 0
  if (draft.reserve.trim() !== '') {
    if (reserve === undefined) faults.reserve = 'amount'
    else if (reserve < least) faults.reserve = 'reserve'
  }
  if (draft.buyNow.trim() !== '') {
    if (buyNow === undefined) faults.buyNow = 'amount'
    else if (buyNow < Math.max(least, reserve ?? 0)) faults.buyNow = 'buyNow'
  }
  if (draft.beginsAt !== '' && !(Date.parse(draft.beginsAt) > now)) faults.beginsAt = 'past'
  return faults
}

/** The terms of a draft without faults. */
export function termsOf(draft: Draft): NewAuction {
  const reserve = parseMoney(draft.reserve)
  const buyNow = parseMoney(draft.buyNow)
  return {
    title: draft.title.trim(),
    format: 'english',
    placement: 'auto',
    starting_price: parseMoney(draft.start) ?? 0,
    ...(reserve !== undefined && { reserve_price: reserve }),
    ...(buyNow !== undefined && { buy_now_price: buyNow }),
    ...(draft.beginsAt !== '' && { starts_at: Date.parse(draft.beginsAt) }),
    duration_ms: DURATIONS_MS[draft.duration],
    ...(draft.softClose && { soft_close: { window_ms: SOFT_CLOSE_MS, extension_ms: SOFT_CLOSE_MS } }),
    copies: [...draft.copies],
  }
}
