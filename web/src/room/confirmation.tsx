import type { AuctionState } from 'ece-socket'
import { useBalance } from '../session/balance'
import { Link } from '../shell/link'
import { money, text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import type { Bidding } from './use-bidding'

interface Props {
  auction: AuctionState
  amount: number
  bidding: Bidding
}

/** Before a bid above one's own limit is sent: what it may cost, and what is left then. */
export function Confirmation({ auction, amount, bidding }: Props) {
  const balance = useBalance()
  const left = balance === undefined ? undefined : balance + bidding.held - amount
  const low = amount < bidding.least
  return (
    <Dialog title={text.bid.confirmTitle(money(amount, true))} onClose={() => bidding.confirm(false)}>
      <dl className="facts">
        <Fact name={text.room.currentBid} value={auction.price} />
        <Fact name={text.bid.confirmFees} value={0} />
        <Fact name={text.bid.confirmTotal} value={amount} strong />
        {left !== undefined && left >= 0 && <Fact name={text.bid.confirmLeft} value={left} />}
      </dl>
      <p className={low ? 'fault small' : 'muted small'} role="status">
        {low ? text.bid.tooLow(money(bidding.least)) : text.bid.confirmBinding}{' '}
        <Link href="/settings#bidding">{text.bid.confirmChange}</Link>
      </p>
      {bidding.tooSoon && <p className="fault small">{text.bid.priceMoved}</p>}
      <div className="buttons">
        <Button kind="primary" disabled={!bidding.ready || low} onClick={() => bidding.confirm(true)}>
          {text.bid.place(money(amount, true))}
        </Button>
        <Button onClick={() => bidding.confirm(false)}>{text.ui.cancel}</Button>
      </div>
    </Dialog>
  )
}

function Fact({ name, value, strong = false }: { name: string; value: number; strong?: boolean }) {
  return (
    <div className={strong ? 'fact strong' : 'fact'}>
      <dt>{name}</dt>
      <dd className="number">{money(value)}</dd>
    </div>
  )
}
