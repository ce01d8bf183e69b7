import '../styles/trades.css'
import { useState } from 'react'
import { socket, useConnection } from '../connection'
import { useTitle } from '../router'
import type { ScreenProps } from '../screens'
import { rest } from '../server/rest'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { Missing } from '../shell/missing'
import { text } from '../text/text'
import { useLoaded } from '../ui/loaded'
import { Skeleton } from '../ui/notices'
import { Actions } from './actions'
import { Chat } from './chat'
import { CounterOffer } from './counter-offer'
import { Dispute } from './dispute'
import { History } from './history'
import { type Negotiation, OVER, othersIn, type TradeState } from './negotiation'
import { Sides } from './sides'
import { StatusTag } from './status-tag'
import { useTrade } from './use-trade'

export default function TradePage({ params }: ScreenProps) {
  const known = useTrade(params.trade ?? '')
  const me = useSession()?.id
  if (known.missing) return <Missing title={text.trades.missingTitle} detail={text.trades.missingText} />
  const { trade } = known
  return trade && me ? <OpenTrade known={known} trade={trade} me={me} /> : <Skeleton lines={6} />
}

function OpenTrade({ known, trade, me }: { known: Negotiation; trade: TradeState; me: string }) {
  const live = useConnection().status.kind === 'open'
  const names = othersIn(trade, me)
    .map(({ username }) => username)
    .join(', ')
  const [countering, setCountering] = useState(false)
  const value = useLoaded(
    (signal) => rest('get', '/trades/{trade}/value', { path: { trade: trade.id }, signal }),
    [trade.id, trade.hash],
  )
  useTitle(text.trades.with(names))
  const mayCounter = countering && trade.status === 'open'
  return (
    <article className="trade">
      <Link className="back" href="/trades">
        ← {text.trades.back}
      </Link>
      <header className="trade-head">
        <h1>{text.trades.with(names)}</h1>
        <StatusTag status={trade.status} />
        {!OVER.has(trade.status) && <Presence known={known} trade={trade} me={me} />}
      </header>
      <div className="trade-main">
        {mayCounter ? (
          <CounterOffer trade={trade} me={me} onClose={() => setCountering(false)} />
        ) : (
          <>
            {trade.message && (
              <blockquote className="offer-words">
                <p>{trade.message}</p>
              </blockquote>
            )}
            <Sides trade={trade} me={me} value={value} />
            <Actions trade={trade} me={me} live={live} counter={() => setCountering(true)} />
          </>
        )}
        <Dispute trade={trade} now={socket.clock.now()} />
      </div>
      <div className="trade-beside">
        <Chat trade={trade} typing={known.typing} me={me} />
        <History trade={trade} me={me} />
      </div>
    </article>
  )
}

/** Who of the others has this page open, in words. */
function Presence({ known, trade, me }: { known: Negotiation; trade: TradeState; me: string }) {
  return (
    <ul className="presence">
      {othersIn(trade, me).map(({ id, username }) => {
        const here = known.present.includes(id)
        return (
          <li key={id} className="muted small" data-here={here}>
            <span className="dot" aria-hidden="true" />
            <Link href={`/users/${username}`}>{username}</Link> {here ? text.trades.here : text.trades.away}
          </li>
        )
      })}
    </ul>
  )
}
