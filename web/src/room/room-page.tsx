import { useCard } from '../card/card-of'
import { CardPicture } from '../card/card-picture'
import '../styles/room.css'
import '../styles/bidding.css'
import { useTitle } from '../router'
import type { ScreenProps } from '../screens'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { Missing } from '../shell/missing'
import { capital, day, money, text } from '../text/text'
import { useThrottled } from '../ui/use-throttled'
import { BidPanel } from './bid-panel'
import { Ladder } from './ladder'
import { Outcome } from './outcome'
import { PriceChart } from './price-chart'
import { PricePanel } from './price-panel'
import type { LoadedRoom } from './room'
import { useBidLimit } from './use-bid-limit'
import { useBidding } from './use-bidding'
import { useMarket } from './use-market'
import { useRoom } from './use-room'

/** Browsers draw the title of a tab themselves, and slowly. */
const TITLE_MS = 1_000
const PICTURE = '(max-width: 44rem) 5.5rem, (max-width: 68rem) 20rem, 22rem'

export default function RoomPage({ params }: ScreenProps) {
  const room = useRoom(params.auction ?? '')
  // One's bids are not those of whoever logs in next, in this tab or in another one.
  const user = useSession()?.id
  if (room.missing) return <Missing title={text.room.notFoundTitle} detail={text.room.notFoundText} />
  const { auction } = room
  return auction ? <OpenRoom key={user} room={{ ...room, auction }} /> : <Loading />
}

function OpenRoom({ room }: { room: LoadedRoom }) {
  const { auction } = room
  const bidding = useBidding(room, useBidLimit())
  const sold = useCard(auction.copies ?? [])
  const name = sold?.name ?? auction.title
  useTitle(`${money(useThrottled(auction.price, TITLE_MS))} · ${name}`)
  return (
    <article className="room">
      <Link className="back" href="/">
        ← {text.room.back}
      </Link>
      <div className="room-picture">
        <CardPicture sold={sold} title={auction.title} sizes={PICTURE} eager />
      </div>
      <div className="room-main">
        <header className="room-head">
          <h1>{name}</h1>
          {sold && (
            <p className="muted">
              {sold.set_name} · {sold.number} · {capital(sold.rarity)}
            </p>
          )}
          <p className="muted small">
            {text.room.seller(auction.seller)}
            {room.watchers !== undefined && <> · {text.room.watching(Math.max(1, room.watchers))}</>}
            <LastSale card={sold?.card} />
          </p>
        </header>
        <PricePanel room={room} />
        {auction.status === 'closed' || auction.status === 'cancelled' ? (
          <Outcome
            auction={auction}
            hasBid={bidding.maximum !== undefined || bidding.standing !== 'none'}
            card={sold?.card}
          />
        ) : (
          <BidPanel auction={auction} bidding={bidding} />
        )}
      </div>
      <div className="room-history">
        <PriceChart bids={room.bids} />
        <Ladder room={room} attempt={bidding.attempt} />
      </div>
    </article>
  )
}

function LastSale({ card }: { card: string | undefined }) {
  const last = useMarket(card)?.last
  return last ? <> · {text.room.lastSale(money(last.price), day(last.at))}</> : null
}

function Loading() {
  return (
    <article className="room" aria-busy="true">
      <span className="back" aria-hidden="true" />
      <div className="room-picture">
        <div className="picture skeleton" />
      </div>
      <div className="room-main" aria-hidden="true">
        <div className="line tall skeleton" />
        <div className="line short skeleton" />
        <div className="panel skeleton" />
        <div className="panel skeleton" />
      </div>
    </article>
  )
}
