import type { ReactNode } from 'react'
import { rest, type Schema } from '../server/rest'
import { Link } from '../shell/link'
import { moment, money, text } from '../text/text'
import { Dialog } from '../ui/dialog'
import { Shown, useLoaded } from '../ui/loaded'
import { kindText, signedMoney } from './entry-text'
import type { Entry } from './ledger'

const OF_AUCTION = /^(sale|fee|royalty)(_refund)?$/

/** All that there is to an entry, and of a sale how its price was divided. */
export function EntryReceipt({ entry, onClose }: { entry: Entry; onClose: () => void }) {
  const t = text.wallet
  const auction = OF_AUCTION.test(entry.kind) ? entry.about : null
  const trade = entry.kind.startsWith('trade') ? entry.about : null
  return (
    <Dialog title={t.receiptOf(kindText(entry.kind))} onClose={onClose}>
      <dl className="receipt">
        <Line name={t.amount}>
          <strong className="number">
            {entry.amount === 0
              ? `${money(entry.size)} ${t.actions[entry.action]}`
              : signedMoney(entry.amount)}
          </strong>
        </Line>
        <Line name={t.moment}>{moment(entry.at)}</Line>
        <Line name={t.balanceAfter}>{money(entry.posted)}</Line>
        <Line name={t.heldAfter}>{money(entry.pending)}</Line>
        {auction && (
          <Line name={t.about}>
            <Link href={`/auctions/${auction}`}>{t.auction}</Link>
          </Line>
        )}
        {trade && (
          <Line name={t.about}>
            <Link href={`/trades/${trade}`}>{t.tradeLink}</Link>
          </Line>
        )}
        <Line name={t.seq}>{entry.seq}</Line>
        <Line name={t.transfer}>
          <code>{entry.transfer}</code>
        </Line>
        <Line name={t.hash}>
          <code>{entry.hash}</code>
        </Line>
      </dl>
      <p className="muted small">{t.hashAbout}</p>
      {auction && <Sale auction={auction} />}
    </Dialog>
  )
}

function Line({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function Sale({ auction }: { auction: string }) {
  const receipts = useLoaded(
    (signal) => rest('get', '/auctions/{auction_id}/receipts', { path: { auction_id: auction }, signal }),
    [auction],
  )
  return (
    <Shown of={receipts}>
      {({ items }) => items.map((receipt) => <SaleReceipt key={receipt.round} of={receipt} />)}
    </Shown>
  )
}

function SaleReceipt({ of }: { of: Schema<'Receipt'> }) {
  const t = text.wallet
  return (
    <>
      <h3>
        {t.saleHead}: {of.outcome === 'sold' ? t.roles[of.role] : t.outcomes[of.outcome]}
      </h3>
      <dl className="receipt">
        <Line name={t.price}>{money(of.price)}</Line>
        <Line name={t.fee}>{money(of.fee)}</Line>
        <Line name={t.royalties}>{money(of.royalties)}</Line>
        <Line name={t.net}>{money(of.net)}</Line>
        <Line name={t.hash}>
          <code>{of.event_hash}</code>
        </Line>
      </dl>
      {of.refunded && <p>{t.refunded}</p>}
    </>
  )
}
