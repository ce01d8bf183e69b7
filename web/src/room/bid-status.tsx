import type { AuctionState } from 'ece-socket'
import { refusalText } from '../text/problems'
import { money, text } from '../text/text'
import type { Bidding } from './use-bidding'

/** Where the user stands, in words and by colour, and what became of the last tap. */
export function BidStatus({ auction, bidding }: { auction: AuctionState; bidding: Bidding }) {
  const { attempt, standing } = bidding
  return (
    <div className="bid-status" role="status">
      {attempt.kind === 'sending' ? (
        <p className="standing sending">
          <strong>{text.bid.sending}</strong> <span className="number">{money(attempt.amount)}</span>
        </p>
      ) : (
        <Standing auction={auction} bidding={bidding} />
      )}
      {attempt.kind === 'refused' && (
        <p className="fault">
          <strong>{text.bid.refused}.</strong> {refusalText(attempt)}
        </p>
      )}
      {attempt.kind === 'unknown' && <p className="fault">{text.bid.unknown}</p>}
      {bidding.tooSoon && <p className="fault">{text.bid.priceMoved}</p>}
      {standing === 'outbid' && attempt.kind !== 'sending' && <Rebid bidding={bidding} />}
    </div>
  )
}

function Standing({
  auction,
  bidding: { attempt, standing, maximum },
}: {
  auction: AuctionState
  bidding: Bidding
}) {
  if (standing === 'leading') {
    return (
      <p className="standing leading">
        <Mark ok />
        <strong>{text.bid.leading}.</strong>{' '}
        {maximum === undefined ? text.bid.leadingUnknown : text.bid.leadingDetail(money(maximum))}
      </p>
    )
  }
  if (standing === 'outbid') {
    const atOnce = attempt.kind === 'outbid' && attempt.amount === maximum
    return (
      <p key={auction.leader} className="standing outbid flash">
        <Mark />
        <strong>{text.bid.outbid}.</strong>{' '}
        {atOnce ? text.bid.outbidAtOnce : text.bid.outbidDetail(auction.leader ?? '')}
      </p>
    )
  }
  return <h2>{text.bid.title}</h2>
}

function Rebid({ bidding }: { bidding: Bidding }) {
  return (
    <button
      className="button warn wide"
      type="button"
      disabled={!bidding.ready}
      onClick={() => bidding.bid(bidding.least)}
    >
      {text.bid.rebid(money(bidding.least))}
    </button>
  )
}

/** Beside the colour: a sign of its own for each standing. */
function Mark({ ok = false }: { ok?: boolean }) {
  return (
    <svg className="mark" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      <path className="stroke" d={ok ? 'M4 10.500 8.500 15 16 6' : 'M10 3v9m0 4v.5'} />
    </svg>
  )
}
