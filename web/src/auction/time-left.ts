import { text } from '../text/text'

export const TENTHS_BELOW_MS = 10_000

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const two = (value: number) => String(value).padStart(2, '0')

/** The time left: `2d 03h`, `4:05:09`, `5:09`, below ten seconds `9.4`. Never more than there is. */
export function timeLeft(leftMs: number): string {
  const left = Math.max(0, leftMs)
  if (left < TENTHS_BELOW_MS) return (Math.floor(left / 100) / 10).toFixed(1)
  const minutes = Math.floor((left % HOUR) / MINUTE)
  const seconds = two(Math.floor((left % MINUTE) / SECOND))
  if (left >= DAY)
    return `${Math.floor(left / DAY)}${text.time.days} ${two(Math.floor((left % DAY) / HOUR))}${text.time.hours}`
  if (left >= HOUR) return `${Math.floor(left / HOUR)}:${two(minutes)}:${seconds}`
  return `${minutes}:${seconds}`
}

export type Urgency = 'calm' | 'soon' | 'now'

export const urgencyOf = (leftMs: number): Urgency =>
  leftMs < TENTHS_BELOW_MS ? 'now' : leftMs < 5 * MINUTE ? 'soon' : 'calm'
