import { useEffect, useRef, useState } from 'react'
import { Countdown } from '../auction/countdown'
import { CardPicture } from '../card/card-picture'
import type { ListedAuction } from '../server/rest'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { money, text } from '../text/text'
import { useLiveAuction } from './use-live-auction'

const NEARLY_SEEN = '200px'
const TILE = '(max-width: 30rem) 44vw, 15rem'

/** One auction on the home page: live while it can be seen. */
export function AuctionTile({ listed, eager = false }: { listed: ListedAuction; eager?: boolean }) {
  const place = useRef<HTMLLIElement>(null)
  const auction = useLiveAuction(listed, useSeen(place))
  const sold = listed.copy
  const leads = useSession()?.username === auction.leader && auction.leader !== null
  const name = sold?.name ?? auction.title
  return (
    <li className="tile" ref={place}>
      <Link href={`/auctions/${auction.id}`}>
        <CardPicture sold={sold} title={auction.title} sizes={TILE} eager={eager} />
        <span className="tile-title">{name}</span>
        <span className="tile-set muted">
          {sold ? `${sold.set_name} · ${sold.number}` : text.room.seller(auction.seller)}
        </span>
        <span className="tile-facts">
          <span>
            <span className="label">{auction.bids ? text.home.currentBid : text.home.startingBid}</span>
            <span key={auction.price} className="price number settle">
              {money(auction.price)}
            </span>
          </span>
          <span className="right">
            <span className="label">{text.home.timeLeft}</span>
            {auction.status === 'open' ? (
              <Countdown until={auction.ends_at} ended={text.room.ended} />
            ) : (
              <span className="countdown">{text.room.ended}</span>
            )}
          </span>
        </span>
        <span className="tile-bids muted">
          {auction.bids ? text.home.bids(auction.bids) : text.home.noBids}
          {leads && <span className="tag good">{text.home.leading}</span>}
        </span>
      </Link>
    </li>
  )
}

function useSeen(place: React.RefObject<HTMLElement | null>): boolean {
  const [seen, setSeen] = useState(false)
  useEffect(() => {
    if (!place.current) return
    const watch = new IntersectionObserver(([entry]) => setSeen(entry?.isIntersecting ?? false), {
      rootMargin: NEARLY_SEEN,
    })
    watch.observe(place.current)
    return () => watch.disconnect()
  }, [place])
  return seen
}
