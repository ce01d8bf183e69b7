import '../styles/card-page.css'
import { lazy, Suspense, useState } from 'react'
import { Countdown } from '../auction/countdown'
import { useTitle } from '../router'
import type { ScreenProps } from '../screens'
import { Problem } from '../server/problem'
import { type Card, rest } from '../server/rest'
import { Link } from '../shell/link'
import { Missing } from '../shell/missing'
import { capital, count, money, percent, text } from '../text/text'
import { Button } from '../ui/button'
import { Shown, useLoaded } from '../ui/loaded'
import { Skeleton } from '../ui/notices'
import { Picture } from './card-picture'
import { Copies } from './copies'
import { Market } from './market'

const PICTURE = '(max-width: 48rem) 20rem, 26rem'

// With three.js, which is loaded when somebody wants to turn the card.
const Viewer = lazy(() => import('./viewer'))

export default function CardPage({ params }: ScreenProps) {
  const id = params.card ?? ''
  const card = useLoaded(
    (signal) => rest('get', '/catalog/cards/{card_id}', { path: { card_id: id }, signal }),
    [id],
  )
  if (card.error instanceof Problem && card.error.status === 404)
    return <Missing title={text.card.missing} detail={text.shell.notFoundText} />
  return <Shown of={card}>{(found) => <Whole card={found} />}</Shown>
}

function Whole({ card }: { card: Card }) {
  useTitle(card.name)
  return (
    <article className="card-page">
      <Link className="back" href="/browse">
        ← {text.card.back}
      </Link>
      <CardView card={card} />
      <div className="card-main">
        <header>
          <h1>{card.name}</h1>
          <p className="muted">
            <Link href={`/browse?set=${encodeURIComponent(card.set.code)}`}>{card.set.name}</Link> ·{' '}
            {card.number} · {capital(card.rarity)}
          </p>
        </header>
        {card.description && <p className="card-description">{card.description}</p>}
        <Live card={card} />
        <Facts card={card} />
      </div>
      <Market card={card.id} />
      <Copies card={card.id} />
    </article>
  )
}

function CardView({ card }: { card: Card }) {
  const [turning, setTurning] = useState(false)
  const picture = <Picture src={card.images[0]} name={card.name} sizes={PICTURE} eager />
  return (
    <div className="card-view">
      {turning ? (
        <Suspense fallback={picture}>
          <Viewer card={card} />
        </Suspense>
      ) : (
        picture
      )}
      <Button wide onClick={() => setTurning(!turning)}>
        {turning ? text.card.flat : text.card.turn}
      </Button>
    </div>
  )
}

function Facts({ card }: { card: Card }) {
  const say = text.card
  const royalty = card.royalty.map(({ user, basis_points }) =>
    say.share(percent(basis_points), user ?? say.house),
  )
  const facts = [
    [say.edition, card.edition === null ? say.unlimited : say.editionOf(count(card.edition))],
    [say.creator, card.creator ?? say.house],
    [say.royalty, royalty.join(', ') || say.noRoyalty],
    ...Object.entries(card.traits),
  ] as const
  return (
    <dl className="attributes">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function Live({ card }: { card: Card }) {
  const auctions = useLoaded(
    (signal) => rest('get', '/auctions', { query: { card: card.id, sort: 'ending', limit: 20 }, signal }),
    [card.id],
  )
  return (
    <section>
      <h2>{text.card.live}</h2>
      {auctions.value === undefined && auctions.error === undefined ? (
        <Skeleton lines={1} />
      ) : (
        <Shown of={auctions}>
          {({ items }) =>
            items.length === 0 ? (
              <p className="muted">{text.card.noLive}</p>
            ) : (
              <ul className="rows">
                {items.map((auction) => (
                  <li key={auction.id}>
                    <span className="what">
                      <Link href={`/auctions/${auction.id}`}>{auction.title}</Link>
                      <span className="muted small">
                        {text.card.soldBy(auction.seller)} · {text.card.bids(auction.bids)}
                      </span>
                    </span>
                    <span className="right">
                      <span className="price number">{money(auction.price)}</span>
                      <span className="small card-left">
                        <Countdown until={auction.ends_at} ended={text.room.ended} />
                      </span>
                    </span>
                  </li>
                ))}
              </ul>
            )
          }
        </Shown>
      )}
    </section>
  )
}
