import type { AuctionState } from 'ece-socket'
import { type FormEvent, useEffect, useState } from 'react'
import { useConnection } from '../connection'
import { useBalance } from '../session/balance'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { money, parseMoney, text, typedMoney } from '../text/text'
import { BidStatus } from './bid-status'
import { type Attempt, quickAmounts } from './bidding'
import { Confirmation } from './confirmation'
import { PlayMoney } from './play-money'
import type { Bidding } from './use-bidding'

export function BidPanel({ auction, bidding }: { auction: AuctionState; bidding: Bidding }) {
  const session = useSession()
  if (!session) return <Guest auction={auction} />
  if (auction.seller === session.username) return <p className="panel muted">{text.bid.own}</p>
  return (
    <section className="panel bid-panel" data-standing={bidding.standing} aria-label={text.bid.title}>
      <BidStatus auction={auction} bidding={bidding} />
      <BidForm auction={auction} bidding={bidding} />
      {bidding.asked !== undefined && (
        <Confirmation auction={auction} amount={bidding.asked} bidding={bidding} />
      )}
    </section>
  )
}

function Guest({ auction }: { auction: AuctionState }) {
  const next = `?next=${encodeURIComponent(`/auctions/${auction.id}`)}`
  return (
    <section className="panel bid-panel" aria-label={text.bid.title}>
      <div>
        <h2>{text.bid.guestTitle}</h2>
        <p className="muted">{text.bid.guestText}</p>
      </div>
      <div className="buttons">
        <Link className="button primary" href={`/register${next}`}>
          {text.shell.register}
        </Link>
        <Link className="button" href={`/login${next}`}>
          {text.shell.logIn}
        </Link>
      </div>
    </section>
  )
}

function BidForm({ auction, bidding }: { auction: AuctionState; bidding: Bidding }) {
  const { least, ready, standing, attempt } = bidding
  // Undefined: the least amount, whatever that is by now. What someone typed or chose stays, until it
  // counted.
  const [typed, setTyped] = useState<string | undefined>()
  useEffect(() => {
    if (attempt.kind === 'leading' || attempt.kind === 'outbid') setTyped(undefined)
  }, [attempt])
  const balance = useBalance()
  const shown = typed ?? typedMoney(least)
  const amount = parseMoney(shown)
  const fault =
    amount === undefined ? text.bid.notAnAmount : amount < least ? text.bid.tooLow(money(least)) : undefined
  const short = balance !== undefined && amount !== undefined && amount > balance + bidding.held

  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (ready && amount !== undefined && !fault) bidding.bid(amount)
  }

  return (
    <form onSubmit={submit} className="bid-form" noValidate>
      <QuickAmounts least={least} amount={amount} choose={(chosen) => setTyped(typedMoney(chosen))} />
      <label className="field amount">
        <span>{text.bid.maximum}</span>
        <span className="with-sign">
          <span aria-hidden="true">{text.bid.currency}</span>
          <input
            className="number"
            inputMode="decimal"
            autoComplete="off"
            value={shown}
            onChange={(event) => setTyped(event.target.value)}
            aria-invalid={fault !== undefined}
            aria-describedby="bid-note"
          />
        </span>
      </label>
      <p id="bid-note" className={fault ? 'small fault' : 'small muted'}>
        {fault ?? (amount !== undefined && text.bid.total(money(amount)))}
      </p>
      <button className="button primary wide" type="submit" disabled={!ready || fault !== undefined}>
        {submitLabel(attempt, standing, amount)}
      </button>
      <Notes auction={auction} bidding={bidding} />
      <PlayMoney short={short || (attempt.kind === 'refused' && attempt.code === 'insufficient_funds')} />
    </form>
  )
}

function submitLabel(attempt: Attempt, standing: Bidding['standing'], amount: number | undefined): string {
  if (attempt.kind === 'sending') return text.bid.sending
  const words = standing === 'leading' ? text.bid.raise : text.bid.place
  return words(amount === undefined ? '…' : money(amount, true))
}

function QuickAmounts({
  least,
  amount,
  choose,
}: {
  least: number
  amount: number | undefined
  choose: (amount: number) => void
}) {
  return (
    <fieldset className="quick">
      <legend className="visually-hidden">{text.bid.quick}</legend>
      {quickAmounts(least).map((quick, index) => (
        // By place: the button stays the same while its amount moves.
        // biome-ignore lint/suspicious/noArrayIndexKey: there are always three
        <button key={index} type="button" aria-pressed={quick === amount} onClick={() => choose(quick)}>
          <span className="number">{money(quick, true)}</span>
          {index === 0 && <span className="hint">{text.bid.minimum}</span>}
        </button>
      ))}
    </fieldset>
  )
}

function Notes({ auction, bidding }: { auction: AuctionState; bidding: Bidding }) {
  const connected = useConnection().status.kind === 'open'
  return (
    <>
      {auction.buy_now !== undefined && <BuyNow price={auction.buy_now} bidding={bidding} />}
      <p className="small muted">
        {!connected ? text.bid.offline : auction.status === 'scheduled' ? text.bid.notOpen : text.bid.proxy}
      </p>
    </>
  )
}

function BuyNow({ price, bidding }: { price: number; bidding: Bidding }) {
  const [asking, setAsking] = useState(false)
  if (!asking) {
    return (
      <button className="button wide" type="button" disabled={!bidding.ready} onClick={() => setAsking(true)}>
        {text.bid.buyNow(money(price, true))}
      </button>
    )
  }
  return (
    <fieldset className="sure">
      <legend>{text.bid.buyNowSure(money(price, true))}</legend>
      <div className="buttons">
        <button className="button primary" type="button" disabled={!bidding.ready} onClick={bidding.buyNow}>
          {text.bid.buyNowYes}
        </button>
        <button className="button" type="button" onClick={() => setAsking(false)}>
          {text.bid.no}
        </button>
      </div>
    </fieldset>
  )
}
