import { useState } from 'react'
import '../styles/home.css'
import type { Auction } from '../server/rest'
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
/** With fewer auctions than this one list is enough. */
const SOON_FROM = 10

export default function HomePage() {
  const [sort, setSort] = useState<Sort>('newest')
  const all = useListing(sort)
  const ending = useListing('ending', SOON)
  // Both lists at once: the row above would push the tiles down when it came.
  const bothKnown = ending.auctions !== undefined || ending.error !== undefined
  const listing = bothKnown ? all : { ...all, auctions: undefined }
  const guest = useSession() === undefined
  const { auctions } = listing
  const empty = auctions?.length === 0
  const soon = auctions && auctions.length >= SOON_FROM ? (ending.auctions ?? []) : []
  const apart = new Set(soon.map(({ id }) => id))
  return (
    <div className="home">
      <div className="home-head">
        <h1>{text.home.title}</h1>
        {auctions && !empty && (
          <p className="muted">{text.home.count(count(auctions.length) + (listing.more ? '+' : ''))}</p>
        )}
      </div>
      {guest && <Welcome />}
      {soon.length > 0 && <EndingSoon auctions={soon} />}
      <section aria-label={text.home.all}>
        {!empty && (
          <div className="home-head">
            <h2>{soon.length > 0 ? text.home.all : text.home.open}</h2>
            <Segments
              label={text.home.sort}
              options={SORTS.map((key) => ({ key, title: text.home[key] }))}
              chosen={sort}
              choose={setSort}
            />
          </div>
        )}
        <Tiles listing={listing} without={apart} />
      </section>
    </div>
  )
}

function EndingSoon({ auctions }: { auctions: readonly Auction[] }) {
  return (
    <section className="soon" aria-labelledby="soon">
      <h2 id="soon">{text.home.ending}</h2>
      <ul className="tiles row">
        {auctions.map((auction) => (
          <AuctionTile key={auction.id} listed={auction} />
        ))}
      </ul>
    </section>
  )
}

/** `without`: those that are shown elsewhere. */
function Tiles({ listing, without }: { listing: Listing; without: ReadonlySet<string> }) {
  const { auctions, error, again, more, showMore } = listing
  if (!auctions)
    return error ? <Failed title={text.home.failedTitle} error={error} again={again} /> : <Skeletons />
  if (auctions.length === 0) return <NoAuction />
  return (
    <>
      <ul className="tiles">
        {auctions
          .filter(({ id }) => !without.has(id))
          .map((auction) => (
            <AuctionTile key={auction.id} listed={auction} />
          ))}
      </ul>
      {more && (
        <button className="button more" type="button" onClick={showMore}>
          {text.home.more}
        </button>
      )}
    </>
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
