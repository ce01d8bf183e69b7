import type { AuctionState } from 'ece-socket'
import { routeOf } from '../router'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { money, text } from '../text/text'
import { useMarket } from './use-market'

interface Props {
  auction: AuctionState
  hasBid: boolean
  /** The card that was sold, where it is one of ours. */
  card: string | undefined
}

/** The end: for the winner, for whoever bid, and for those who watched. */
export function Outcome({ auction, hasBid, card }: Props) {
  const username = useSession()?.username
  const price = money(auction.price)
  const won = auction.winner !== undefined && auction.winner !== null && auction.winner === username
  const { kind, title, lines } = words(auction, won, hasBid, price)
  const lost = kind === 'lost'
  const others = useOthers(won ? undefined : card)
  return (
    <section className="panel outcome" data-kind={kind} role="status">
      {won && <Sparks />}
      <h2>{title}</h2>
      {lines.map((line) => (
        <p key={line}>{line}</p>
      ))}
      <div className="buttons">
        {won && <Next href="/portfolio" words={text.outcome.portfolio} main />}
        {others && <Next href={`/cards/${card}`} words={others} main />}
        <Next href="/" words={text.outcome.next} main={!won && !others} />
        <Next href={`/auctions/${auction.id}/log`} words={lost ? text.outcome.why : text.outcome.how} />
      </div>
    </section>
  )
}

/** How many other auctions of the card are open, where it has a screen. */
function useOthers(card: string | undefined): string | undefined {
  const market = useMarket(card)
  const from = market?.floor
  if (!market?.open_auctions || from == null || !routeOf(`/cards/${card}`)) return undefined
  return text.outcome.elsewhere(market.open_auctions, money(from))
}

/** A way on, where there is such a screen. */
function Next({ href, words, main = false }: { href: string; words: string; main?: boolean }) {
  if (!routeOf(href)) return null
  return (
    <Link className={main ? 'button primary' : 'button'} href={href}>
      {words}
    </Link>
  )
}

interface Words {
  kind: 'won' | 'lost' | 'over'
  title: string
  lines: string[]
}

function words(auction: AuctionState, won: boolean, hasBid: boolean, price: string): Words {
  const { winner } = auction
  if (auction.status === 'cancelled') return { kind: 'over', title: text.outcome.cancelled, lines: [] }
  if (!winner) return { kind: 'over', title: text.outcome.unsold, lines: [text.outcome.unsoldText] }
  if (won) {
    const next = auction.settled ? text.outcome.settled : text.outcome.settling
    return { kind: 'won', title: text.outcome.won, lines: [text.outcome.wonText(price), next] }
  }
  if (hasBid) {
    const lines = [text.outcome.lostText(winner, price), text.outcome.lostReleased]
    return { kind: 'lost', title: text.outcome.lost, lines }
  }
  return { kind: 'over', title: text.outcome.sold(winner, price), lines: [] }
}

const SPARKS = Array.from({ length: 14 }, (_, index) => index)

/** Still for those who asked for less motion. */
function Sparks() {
  return (
    <svg className="sparks" viewBox="-100 -100 200 200" aria-hidden="true">
      {SPARKS.map((index) => (
        <rect
          key={index}
          x="-2"
          y="-60"
          width="4"
          height="14"
          rx="2"
          transform={`rotate(${(index * 360) / SPARKS.length})`}
        />
      ))}
    </svg>
  )
}
