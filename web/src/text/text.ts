import { formatTag, onLocale, text } from './locale'

export { text }

export const BASE_UNITS = 1_000_000

/** The formats of the language. Node has no languages of a browser: there it is English. */
function formatsOf(tag: string) {
  const dollars = { style: 'currency', currency: 'USD' } as const
  return {
    dollars: new Intl.NumberFormat(tag, dollars),
    wholeDollars: new Intl.NumberFormat(tag, { ...dollars, maximumFractionDigits: 0 }),
    counts: new Intl.NumberFormat(tag),
    amounts: new Intl.NumberFormat(tag, { maximumFractionDigits: 9 }),
    percents: new Intl.NumberFormat(tag, { style: 'percent', maximumFractionDigits: 2 }),
    clockTimes: new Intl.DateTimeFormat(tag, { hour: '2-digit', minute: '2-digit', second: '2-digit' }),
    moments: new Intl.DateTimeFormat(tag, { dateStyle: 'medium', timeStyle: 'short' }),
    days: new Intl.DateTimeFormat(tag, { dateStyle: 'medium' }),
    decimal:
      new Intl.NumberFormat(tag).formatToParts(1.5).find(({ type }) => type === 'decimal')?.value ?? '.',
  }
}

let formats = formatsOf(formatTag())
onLocale(() => {
  formats = formatsOf(formatTag())
})

/** An amount in base units as people write it; whole dollars without cents where `short`. */
export function money(amount: number, short = false): string {
  const whole = short && amount % BASE_UNITS === 0
  return (whole ? formats.wholeDollars : formats.dollars).format(amount / BASE_UNITS)
}

/** What a catalog has in lower case, such as a rarity, at the beginning of something. */
export const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)
export const count = (value: number): string => formats.counts.format(value)
/** To the last digit that a chain has. */
export const amountOf = (value: number): string => formats.amounts.format(value)
/** A share in hundredths of a percent. */
export const percent = (basisPoints: number): string => formats.percents.format(basisPoints / 10_000)
export const clockTime = (atMs: number): string => formats.clockTimes.format(atMs)
export const moment = (atMs: number): string => formats.moments.format(atMs)
export const day = (atMs: number): string => formats.days.format(atMs)

/** What someone typed, in base units; undefined if it is no amount. Before one or two digits either sign is the point. */
export function parseMoney(typed: string, decimal = formats.decimal): number | undefined {
  const groups = decimal === ',' ? /\.(?=\d{3}(?:\D|$))/g : /,(?=\d{3}(?:\D|$))/g
  const plain = typed.replace(/[\s$€]/g, '').replace(groups, '')
  const match = /^(\d{1,9})(?:[.,](\d{1,2}))?$/.exec(plain)
  if (!match) return undefined
  return Number(match[1]) * BASE_UNITS + Number((match[2] ?? '').padEnd(2, '0')) * (BASE_UNITS / 100)
}

/** An amount for a text field: no sign of a currency, cents only where there are some. */
export function typedMoney(amount: number, decimal = formats.decimal): string {
  const cents = Math.round(amount / (BASE_UNITS / 100))
  return cents % 100 === 0 ? String(cents / 100) : (cents / 100).toFixed(2).replace('.', decimal)
}
