import '../styles/account.css'
import '../styles/sell.css'
import { useState } from 'react'
import { Countdown } from '../auction/countdown'
import { CardPicture } from '../card/card-picture'
import { newKey } from '../server/key'
import { type ListedAuction as Auction, rest } from '../server/rest'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { moment, money, text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Empty } from '../ui/notices'
import { List, usePages } from '../ui/pages'
import { Tabs } from '../ui/tabs'
import { attempt, toast } from '../ui/toast'

const STATUSES = ['open', 'scheduled', 'closed', 'cancelled'] as const
type Status = (typeof STATUSES)[number]

/** What one has listed, and what became of it. */
export default function ListingsPage() {
  const [status, setStatus] = useState<Status>('open')
  const tabs = STATUSES.map((key) => ({ key, title: text.sell.statuses[key] }))
  return (
    <section className="account-page listings">
      <header className="page-head">
        <h1>{text.sell.listingsTitle}</h1>
        <Link className="button primary" href="/sell">
          {text.sell.heading}
        </Link>
      </header>
      <Tabs label={text.sell.listingsTitle} tabs={tabs} chosen={status} choose={setStatus}>
        <Listings key={status} status={status} />
      </Tabs>
    </section>
  )
}

function Listings({ status }: { status: Status }) {
  const seller = useSession()?.username ?? ''
  const auctions = usePages(
    (cursor) => rest('get', '/auctions', { query: { seller, status, limit: 24, cursor } }),
    [seller, status],
  )
  const [cancelling, setCancelling] = useState<Auction>()
  const gone = (id: string) => auctions.change((old) => old.filter((one) => one.id !== id))
  return (
    <>
      <List
        of={auctions}
        name={text.sell.listingsTitle}
        empty={
          <Empty title={text.sell.none[status]}>
            <Link className="button" href="/sell">
              {text.sell.heading}
            </Link>
          </Empty>
        }
      >
        {(auction) => (
          <ListedAuction key={auction.id} auction={auction} cancel={() => setCancelling(auction)} />
        )}
      </List>
      {cancelling && (
        <Cancelling
          auction={cancelling}
          close={() => setCancelling(undefined)}
          done={() => gone(cancelling.id)}
        />
      )}
    </>
  )
}

function ListedAuction({ auction, cancel }: { auction: Auction; cancel: () => void }) {
  const cancels = auction.bids === 0 && (auction.status === 'open' || auction.status === 'scheduled')
  return (
    <li className="listing">
      <Link className="listing-picture" href={`/auctions/${auction.id}`} tabIndex={-1} aria-hidden="true">
        <CardPicture sold={auction.copy} title={auction.title} sizes="3rem" />
      </Link>
      <span className="what">
        <Link href={`/auctions/${auction.id}`}>{auction.title}</Link>
        <span className="muted small">
          <When auction={auction} />
        </span>
      </span>
      <span className="right">
        <span className="price number">{money(auction.price)}</span>
        <span className="muted small block">{text.sell.bids(auction.bids)}</span>
      </span>
      {cancels && (
        <Button className="danger" aria-label={text.sell.cancelOf(auction.title)} onClick={cancel}>
          {text.sell.cancel}
        </Button>
      )}
    </li>
  )
}

function When({ auction }: { auction: Auction }) {
  if (auction.status === 'scheduled') return text.sell.startsAt(moment(auction.starts_at))
  if (auction.status === 'open')
    return (
      <>
        {text.room.endsIn} <Countdown until={auction.ends_at} ended={text.room.ended} />
      </>
    )
  if (auction.status === 'cancelled') return text.sell.statuses.cancelled
  if (!auction.winner) {
    // An operator ends one before its time.
    const ended = auction.closed_reason === 'time' && text.sell.endedAt(moment(auction.ends_at))
    return [text.sell.unsold, ended].filter(Boolean).join(' · ')
  }
  return `${text.sell.sold(auction.winner)} · ${auction.settled ? text.sell.paid : text.sell.unpaid}`
}

function Cancelling({ auction, close, done }: { auction: Auction; close: () => void; done: () => void }) {
  const [key] = useState(newKey)
  const [busy, setBusy] = useState(false)
  const cancel = async () => {
    setBusy(true)
    const path = { auction_id: auction.id }
    if (await attempt(() => rest('post', '/auctions/{auction_id}/cancel', { path, key }))) {
      toast(text.sell.cancelled)
      done()
    }
    close()
  }
  return (
    <Dialog title={text.sell.cancelTitle} onClose={close}>
      <p>{text.sell.cancelText(auction.title)}</p>
      <div className="buttons">
        <Button kind="warn" busy={busy} onClick={() => void cancel()}>
          {text.sell.cancelYes}
        </Button>
        <Button onClick={close}>{text.sell.keep}</Button>
      </div>
    </Dialog>
  )
}
