import { useState } from 'react'
import { CopyTile } from '../card/copy-tile'
import { matches } from '../card/matches'
import { type Copy, rest } from '../server/rest'
import { Link } from '../shell/link'
import { count, day, money, text } from '../text/text'
import { Button } from '../ui/button'
import { Empty } from '../ui/notices'
import { List, usePages } from '../ui/pages'
import { Tabs } from '../ui/tabs'
import { WithdrawCard } from './withdraw-card'

const PLACES = ['all', 'free', 'listed', 'trade', 'withdrawn'] as const
type Place = (typeof PLACES)[number]

/** One's copies, by where they are and what they are called, and what one can do with each. */
export function Copies() {
  const [place, setPlace] = useState<Place>('all')
  const tabs = PLACES.map((key) => ({ key, title: text.portfolio.places[key] }))
  return (
    <section className="portfolio-copies scrolling-tabs">
      <h2>{text.portfolio.cards}</h2>
      <Tabs label={text.portfolio.place} tabs={tabs} chosen={place} choose={setPlace}>
        <CopyList key={place} place={place} />
      </Tabs>
    </section>
  )
}

function CopyList({ place }: { place: Place }) {
  const [wanted, setWanted] = useState('')
  const [leaving, setLeaving] = useState<Copy>()
  const pages = usePages(
    (cursor) => rest('get', '/users/me/copies', { query: { place: place === 'all' ? null : place, cursor } }),
    [place],
  )
  const all = pages.items ?? []
  const shown = all.filter((copy) => matches(copy, wanted))
  return (
    <>
      {all.length > 0 && (
        <input
          className="copy-filter"
          type="search"
          value={wanted}
          placeholder={text.portfolio.filter}
          aria-label={text.portfolio.filter}
          onChange={(event) => setWanted(event.target.value)}
        />
      )}
      <p className="muted small" aria-live="polite">
        {wanted && text.portfolio.filtered(count(shown.length), count(all.length) + (pages.more ? '+' : ''))}
      </p>
      <List
        of={{ ...pages, items: pages.items && shown }}
        name={text.portfolio.cards}
        empty={
          all.length > 0 ? <p className="muted">{text.portfolio.noMatch}</p> : <None all={place === 'all'} />
        }
      >
        {(copy) => (
          <li key={copy.id}>
            <CopyTile copy={copy}>
              <span className="muted small">{facts(copy)}</span>
            </CopyTile>
            <Ways copy={copy} leave={() => setLeaving(copy)} />
          </li>
        )}
      </List>
      {leaving && (
        <WithdrawCard
          copy={leaving}
          onClose={() => setLeaving(undefined)}
          done={() => {
            setLeaving(undefined)
            pages.change((items) => items.filter(({ id }) => id !== leaving.id))
          }}
        />
      )}
    </>
  )
}

function facts({ place, cost, acquired_at }: Copy): string {
  return [
    text.portfolio.places[place],
    cost != null && text.portfolio.paid(money(cost)),
    acquired_at != null && text.portfolio.since(day(acquired_at)),
  ]
    .filter(Boolean)
    .join(' · ')
}

function Ways({ copy, leave }: { copy: Copy; leave: () => void }) {
  const t = text.portfolio
  return (
    <fieldset className="buttons">
      <legend className="visually-hidden">{t.actions(copy.name)}</legend>
      {copy.place === 'free' && (
        <>
          <Link className="button" href={`/sell?copy=${copy.id}`}>
            {t.sell}
          </Link>
          <Link className="button" href={`/trades/new?copy=${copy.id}`}>
            {t.trade}
          </Link>
          <Button onClick={leave}>{t.withdraw}</Button>
        </>
      )}
      {copy.auction && (
        <Link className="button" href={`/auctions/${copy.auction}`}>
          {t.toAuction}
        </Link>
      )}
      {copy.trade && (
        <Link className="button" href={`/trades/${copy.trade}`}>
          {t.toTrade}
        </Link>
      )}
    </fieldset>
  )
}

function None({ all }: { all: boolean }) {
  return (
    <Empty title={all ? text.portfolio.none : text.portfolio.noneHere}>
      {all && (
        <>
          <p className="muted">{text.portfolio.noneText}</p>
          <Link className="button primary" href="/">
            {text.portfolio.toAuctions}
          </Link>
        </>
      )}
    </Empty>
  )
}
