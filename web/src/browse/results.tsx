import { type KeyboardEvent, useRef } from 'react'
import { Picture } from '../card/card-picture'
import { rest, type Schema } from '../server/rest'
import { Link } from '../shell/link'
import { capital, money, text } from '../text/text'
import { Button } from '../ui/button'
import { Empty, Failed } from '../ui/notices'
import { usePages } from '../ui/pages'
import type { Choose } from './browse-page'
import { addressOf, chosenOf, filtersOf, type Search, unfiltered } from './search'

type CardItem = Schema<'CardItem'>

const PAGE = 24
const EAGER = 4
const TILE = '(max-width: 30rem) 44vw, 13rem'
const SKELETONS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

/** The cards of a search. Those of the search before stay until the new ones are there. */
export function Results({ search, choose }: { search: Search; choose: Choose }) {
  const { sort } = search
  const pages = usePages(
    (cursor) => rest('get', '/catalog/cards', { query: { ...filtersOf(search), sort, limit: PAGE, cursor } }),
    [addressOf(search)],
  )
  const before = useRef<CardItem[]>(undefined)
  if (pages.items) before.current = pages.items
  const items = pages.items ?? before.current
  if (!items) return pages.error ? <Failed error={pages.error} again={pages.again} /> : <Skeletons />
  if (pages.error && !pages.items) return <Failed error={pages.error} again={pages.again} />
  if (items.length === 0) return <NoCard search={search} choose={choose} />
  return (
    <>
      <ul className="cards" aria-busy={pages.items === undefined} onKeyDown={moveByArrows}>
        {items.map((card, place) => (
          <CardTile key={card.id} card={card} eager={place < EAGER} />
        ))}
      </ul>
      {pages.error !== undefined && <Failed error={pages.error} again={pages.again} />}
      {pages.more && (
        <Button className="more" busy={pages.busy} onClick={pages.more}>
          {text.ui.more}
        </Button>
      )}
    </>
  )
}

/** Arrow keys lead from card to card, as they lie. */
function moveByArrows(event: KeyboardEvent<HTMLUListElement>) {
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>('a')]
  const here = links.indexOf(document.activeElement as HTMLElement)
  const top = links[0]?.getBoundingClientRect().top
  const row = links.findIndex((link) => link.getBoundingClientRect().top !== top)
  const columns = row === -1 ? links.length : row
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key]
  const next = step === undefined || here === -1 ? undefined : links[here + step]
  if (!next) return
  event.preventDefault()
  next.focus()
}

function CardTile({ card, eager }: { card: CardItem; eager: boolean }) {
  const { open_auctions, lowest_price } = card.market
  return (
    <li className="card-tile">
      <Link href={`/cards/${card.id}`}>
        <Picture src={card.images[0]} name={card.name} sizes={TILE} eager={eager} />
        <span className="card-name">{card.name}</span>
        <span className="card-set muted small">
          {card.set.name} · {card.number}
        </span>
        <span className="card-facts">
          <span className="rarity small" data-rarity={card.rarity}>
            {capital(card.rarity)}
          </span>
          {lowest_price !== null && open_auctions > 0 ? (
            <span className="price number">{text.browse.fromPrice(money(lowest_price))}</span>
          ) : (
            <span className="muted small">{text.browse.notForSale}</span>
          )}
        </span>
      </Link>
    </li>
  )
}

function NoCard({ search, choose }: { search: Search; choose: Choose }) {
  const all = search.q.trim() === '' && chosenOf(search).length === 0 && search.sort === 'relevance'
  if (all)
    return (
      <Empty title={text.browse.emptyTitle}>
        <p>{text.browse.emptyText}</p>
        <code className="command">scripts/ece demo</code>
      </Empty>
    )
  return (
    <Empty title={text.browse.noneTitle}>
      <p>{text.browse.noneText}</p>
      {chosenOf(search).length > 0 && (
        <Button onClick={() => choose(unfiltered(search))}>{text.browse.clear}</Button>
      )}
    </Empty>
  )
}

function Skeletons() {
  return (
    <ul className="cards" aria-busy="true">
      {SKELETONS.map((key) => (
        <li key={key} className="card-tile" aria-hidden="true">
          <div className="picture skeleton" />
          <div className="line skeleton" />
          <div className="line short skeleton" />
        </li>
      ))}
    </ul>
  )
}
