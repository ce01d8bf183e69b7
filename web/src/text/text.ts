import { formatTag, onLocale, text } from './locale'

export { text }

export const BASE_UNITS = 1_000_000

/** For the language: made when it is first used, since each takes milliseconds, and again after another choice. */
function forLocale<T>(make: (tag: string) => T): () => T {
  let made: T | undefined
  onLocale(() => {
    made = undefined
  })
  return () => {
    made ??= make(formatTag())
    return made
  }
}

const DOLLARS = { style: 'currency', currency: 'USD' } as const
const dollars = forLocale((tag) => new Intl.NumberFormat(tag, DOLLARS))
const wholeDollars = forLocale((tag) => new Intl.NumberFormat(tag, { ...DOLLARS, maximumFractionDigits: 0 }))
const counts = forLocale((tag) => new Intl.NumberFormat(tag))
const amounts = forLocale((tag) => new Intl.NumberFormat(tag, { maximumFractionDigits: 9 }))
const percents = forLocale(
  (tag) => new Intl.NumberFormat(tag, { style: 'percent', maximumFractionDigits: 2 }),
)
const clockTimes = forLocale(
  (tag) => new Intl.DateTimeFormat(tag, { hour: '2-digit', minute: '2-digit', second: '2-digit' }),
)
const moments = forLocale((tag) => new Intl.DateTimeFormat(tag, { dateStyle: 'medium', timeStyle: 'short' }))
const days = forLocale((tag) => new Intl.DateTimeFormat(tag, { dateStyle: 'medium' }))
const decimalSign = forLocale(
  (tag) => new Intl.NumberFormat(tag).formatToParts(1.5).find(({ type }) => type === 'decimal')?.value ?? '.',
)

/** An amount in base units as people write it; whole dollars without cents where `short`. */
export function money(amount: number, short = false): string {
  const whole = short && amount % BASE_UNITS === 0
  return (whole ? wholeDollars() : dollars()).format(amount / BASE_UNITS)
}

/** What a catalog has in lower case, such as a rarity, at the beginning of something. */
export const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)
export const count = (value: number): string => counts().format(value)
/** To the last digit that a chain has. */
export const amountOf = (value: number): string => amounts().format(value)
/** A share in hundredths of a percent. */
export const percent = (basisPoints: number): string => percents().format(basisPoints / 10_000)
export const clockTime = (atMs: number): string => clockTimes().format(atMs)
export const moment = (atMs: number): string => moments().format(atMs)
export const day = (atMs: number): string => days().format(atMs)

/** What someone typed, in base units; undefined if it is no amount. Before one or two digits either sign is the point. */
export function parseMoney(typed: string, decimal = decimalSign()): number | undefined {
  const groups = decimal === ',' ? /\.(?=\d{3}(?:\D|$))/g : /,(?=\d{3}(?:\D|$))/g
  const plain = typed.replace(/[\s$€]/g, '').replace(groups, '')
  const match = /^(\d{1,9})(?:[.,](\d{1,2}))?$/.exec(plain)
  if (!match) return undefined
  return Number(match[1]) * BASE_UNITS + Number((match[2] ?? '').padEnd(2, '0')) * (BASE_UNITS / 100)
}

/** An amount for a text field: no sign of a currency, cents only where there are some. */
export function typedMoney(amount: number, decimal = decimalSign()): string {
  const cents = Math.round(amount / (BASE_UNITS / 100))
  return cents % 100 === 0 ? String(cents / 100) : (cents / 100).toFixed(2).replace('.', decimal)
}
