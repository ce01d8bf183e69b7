import { type ReactNode, useDeferredValue, useState } from 'react'
import '../styles/home.css'
import type { ListedAuction } from '../server/rest'
import { useSession } from '../session/use-session'
import { count, text } from '../text/text'
import { Empty, Failed } from '../ui/notices'
import { Segments } from '../ui/segments'
import { AuctionTile } from './auction-tile'
import { type Listing, type Sort, useListing } from './use-listing'
import { Welcome } from './welcome'

const SORTS: readonly Sort[] = ['ending', 'newest']
const SKELETONS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']
const SOON = 5
/** On a phone the others are not seen at first. */
const EAGER = 2
/** Beside the row that ends soon, a large screen shows so many at first. */
const FIRST = 5
/** With fewer auctions than this one list is enough. */
const SOON_FROM = 10

export default function HomePage() {
  const [sort, setSort] = useState<Sort>('newest')
  const listing = useListing(sort)
  const ending = useListing('ending', SOON)
  const guest = useSession() === undefined
  const { auctions } = listing
  const open = auctions?.length ?? 0
  // Both lists at once: the row above would push the tiles down when it came.
  const known = auctions !== undefined && (ending.auctions !== undefined || ending.error !== undefined)
  return (
    <div className="home">
      <div className="home-head">
        <h1>{text.home.title}</h1>
        {open > 0 && <p className="muted">{text.home.count(count(open) + (listing.more ? '+' : ''))}</p>}
      </div>
      {guest && <Welcome />}
      {known ? (
        <Open
          listing={listing}
          auctions={auctions}
          soon={open >= SOON_FROM ? (ending.auctions ?? []) : []}
          sorts={
            <Segments
              label={text.home.sort}
              options={SORTS.map((key) => ({ key, title: text.home[key] }))}
              chosen={sort}
              choose={setSort}
            />
          }
        />
      ) : listing.error ? (
        <Failed title={text.home.failedTitle} error={listing.error} again={listing.again} />
      ) : (
        <Skeletons />
      )}
    </div>
  )
}

interface Found {
  listing: Listing
  auctions: readonly ListedAuction[]
  /** Those of them that end next, apart from the others; none where one list is enough. */
  soon: readonly ListedAuction[]
  sorts: ReactNode
}

function Open({ listing, auctions, soon, sorts }: Found) {
  const apart = new Set(soon.map(({ id }) => id))
  // What is seen at first is there sooner without all the others.
  const all = useDeferredValue(true, false)
  if (auctions.length === 0) return <NoAuction />
  return (
    <>
      {soon.length > 0 && <EndingSoon auctions={soon} />}
      <section aria-label={text.home.all}>
        <div className="home-head">
          <h2>{soon.length > 0 ? text.home.all : text.home.open}</h2>
          {sorts}
        </div>
        <ul className="tiles">
          {auctions
            .filter(({ id }) => !apart.has(id))
            .slice(0, all ? undefined : FIRST)
            .map((auction, place) => (
              <AuctionTile key={auction.id} listed={auction} eager={soon.length === 0 && place < EAGER} />
            ))}
        </ul>
        {listing.more && (
          <button className="button more" type="button" onClick={listing.showMore}>
            {text.home.more}
          </button>
        )}
      </section>
    </>
  )
}

function EndingSoon({ auctions }: { auctions: readonly ListedAuction[] }) {
  return (
    <section className="soon" aria-labelledby="soon">
      <h2 id="soon">{text.home.ending}</h2>
      <ul className="tiles row">
        {auctions.map((auction, place) => (
          <AuctionTile key={auction.id} listed={auction} eager={place < EAGER} />
        ))}
      </ul>
    </section>
  )
}

function NoAuction() {
  return (
    <Empty title={text.home.emptyTitle}>
      <p>{text.home.emptyText}</p>
      <code className="command">scripts/ece demo</code>
      <p className="muted">{text.home.emptyNote}</p>
    </Empty>
  )
}

function Skeletons() {
  return (
    <ul className="tiles" aria-busy="true">
      {SKELETONS.map((key) => (
        <li key={key} className="tile" aria-hidden="true">
          <div className="picture skeleton" />
          <div className="line skeleton" />
          <div className="line short skeleton" />
        </li>
      ))}
    </ul>
  )
}
