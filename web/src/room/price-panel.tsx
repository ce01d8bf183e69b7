import { useEffect, useState } from 'react'
import { Countdown } from '../auction/countdown'
import { useServerNow } from '../auction/now'
import { timeLeft } from '../auction/time-left'
import { moment, money, text } from '../text/text'
import type { Extension, LoadedRoom } from './room'

const EXTENSION_SHOWN_MS = 8_000

export function PricePanel({ room }: { room: LoadedRoom }) {
  const { auction } = room
  const ended = auction.status === 'closed' || auction.status === 'cancelled'
  const scheduled = auction.status === 'scheduled'
  const priceLabel = ended
    ? text.room.finalPrice
    : auction.bids
      ? text.room.currentBid
      : text.room.startingBid
  return (
    <section className="panel price-panel" aria-label={priceLabel}>
      <div>
        <p className="label">{priceLabel}</p>
        <p key={auction.price} className="price big number settle">
          {money(auction.price)}
        </p>
        <p className="small muted">
          {!ended && (
            <>
              {text.room.nextMinimum} <strong className="number">{money(auction.minimum)}</strong>
            </>
          )}
          <Reserve reserve={auction.reserve} />
        </p>
      </div>
      <div className="right">
        <p className="label">{scheduled ? text.room.startsIn : ended ? text.room.ended : text.room.endsIn}</p>
        <p className="big">
          {ended ? (
            <span className="countdown number">—</span>
          ) : (
            <Countdown until={scheduled ? auction.starts_at : auction.ends_at} ended={text.room.ended} />
          )}
        </p>
        <EndsAt of={auction} ended={ended} />
      </div>
      <Extended extension={room.extension} />
      {auction.status === 'open' && <Announcements until={auction.ends_at} />}
    </section>
  )
}

/** One that was bought, cancelled or ended by an operator ended before its time: its log says when. */
function EndsAt({ of: { closed_reason, ends_at }, ended }: { of: LoadedRoom['auction']; ended: boolean }) {
  if (ended && closed_reason !== 'time') return null
  return <p className="small muted">{(ended ? text.room.endedAt : text.room.endsAt)(moment(ends_at))}</p>
}

function Reserve({ reserve }: { reserve: 'none' | 'unmet' | 'met' }) {
  if (reserve === 'none') return null
  return (
    <span className={`tag ${reserve === 'met' ? 'good' : 'warn'}`}>
      {reserve === 'met' ? text.room.reserveMet : text.room.reserveUnmet}
    </span>
  )
}

function Extended({ extension }: { extension: Extension | undefined }) {
  const [shown, setShown] = useState<Extension | undefined>()
  useEffect(() => {
    setShown(extension)
    const timer = setTimeout(() => setShown(undefined), EXTENSION_SHOWN_MS)
    return () => clearTimeout(timer)
  }, [extension])
  return (
    <p role="status" className="extended">
      {shown &&
        (shown.reason === 'outage'
          ? text.room.extendedOutage
          : text.room.extended(timeLeft(Math.max(shown.byMs, 10_000))))}
    </p>
  )
}

// Whoever hears the page is told the time at these moments, not each second.
const ANNOUNCED_MS = [600_000, 300_000, 60_000, 30_000, 10_000] as const

function Announcements({ until }: { until: number }) {
  const left = until - useServerNow(until)
  const passed = ANNOUNCED_MS.filter((ms) => left <= ms && left > ms - 3_000).at(-1)
  const words =
    passed === undefined || left <= 0
      ? ''
      : passed >= 60_000
        ? text.room.minutesLeft(passed / 60_000)
        : text.room.secondsLeft(passed / 1000)
  return (
    <span className="visually-hidden" aria-live="polite">
      {words}
    </span>
  )
}
