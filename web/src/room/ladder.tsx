import { memo, useState } from 'react'
import type { BidItem } from '../server/rest'
import { useSession } from '../session/use-session'
import { clockTime, count, money, text } from '../text/text'
import { type Attempt, fateOf } from './bidding'
import type { LoadedRoom } from './room'

const PAGE = 25

/** The bids, newest first, with one's own marked, and the one that is on its way on top. */
export function Ladder({ room, attempt }: { room: LoadedRoom; attempt: Attempt }) {
  const me = useSession()?.username
  const [shown, setShown] = useState(PAGE)
  const newest = room.bids.slice(-shown).reverse()
  const older = room.auction.bids - newest.length
  const { leader } = room.auction
  const leadingSeq = newest.find(({ bidder }) => bidder === leader)?.seq
  return (
    <section className="panel ladder">
      <h2>
        {text.ladder.title} <span className="muted number">{count(room.auction.bids)}</span>
      </h2>
      {newest.length === 0 && attempt.kind !== 'sending' && room.auction.bids === 0 && (
        <p className="muted">{text.ladder.none}</p>
      )}
      <ol>
        {attempt.kind === 'sending' && (
          <li className="own pending">
            <span className="who">{text.ladder.you}</span>
            <span className="price number">{text.ladder.upTo(money(attempt.amount))}</span>
            <span className="muted small">{text.ladder.sending}</span>
          </li>
        )}
        {newest.map((bid) => (
          <Row
            key={bid.seq}
            bid={bid}
            own={bid.bidder === me}
            fate={bid.seq === leadingSeq ? fateOf(room.auction) : undefined}
          />
        ))}
      </ol>
      {room.bids.length > shown && (
        <button className="button quiet wide" type="button" onClick={() => setShown(shown + 4 * PAGE)}>
          {text.ladder.more}
        </button>
      )}
      {older > 0 && newest.length > 0 && <p className="muted small">{text.ladder.older(older)}</p>}
    </section>
  )
}

interface RowProps {
  bid: BidItem
  own: boolean
  fate: ReturnType<typeof fateOf> | undefined
}

/** Of the rows of a busy room only those that changed are drawn. */
const Row = memo(function Row({ bid: { bidder, price, at, amount }, own, fate }: RowProps) {
  return (
    <li className={own ? 'own' : ''}>
      <span className="who">
        {own ? text.ladder.you : bidder}
        {fate && (
          <span className={fate === 'highest' ? 'tag plain-tag' : 'tag good'}>{text.ladder[fate]}</span>
        )}
      </span>
      <span className="price number">{money(price)}</span>
      <span className="muted small number">
        {own && amount != null ? `${text.ladder.upTo(money(amount))} · ` : ''}
        {clockTime(at)}
      </span>
    </li>
  )
})
