import { type CommandReply, OutcomeUnknown } from 'ece-socket'
import { useMemo, useRef, useState } from 'react'
import { socket, useConnection } from '../connection'
import { newKey } from '../server/key'
import { refreshBalance } from '../session/balance'
import { useSession } from '../session/use-session'
import { text } from '../text/text'
import { type Attempt, afterReply, leastBid, type Standing, standingOf } from './bidding'
import { type LoadedRoom, SETTLE_MS } from './room'

export interface Bidding {
  attempt: Attempt
  standing: Standing
  /** One's own highest maximum that counted. */
  maximum: number | undefined
  /** What is held for it now: a leader's is part of what their next bid holds. */
  held: number
  least: number
  /** A connection, an open auction, and no bid under way. */
  ready: boolean
  /** A tap was not taken, since the price had just changed. */
  tooSoon: boolean
  /** A bid above the user's own limit, which waits until they confirm it. */
  asked: number | undefined
  bid: (amount: number) => void
  /** The answer to `asked`. */
  confirm: (yes: boolean) => void
  buyNow: () => void
}

/** `limit`: a bid above it is asked about before it is sent. */
export function useBidding(room: LoadedRoom, limit: number): Bidding {
  const { auction } = room
  const username = useSession()?.username
  const connected = useConnection().status.kind === 'open'
  const [attempt, setAttempt] = useState<Attempt>({ kind: 'none' })
  const [tooSoon, setTooSoon] = useState(false)
  const [asked, setAsked] = useState<number | undefined>()
  // A second tap comes before React has rendered the first.
  const sending = useRef(false)

  const mine = useMemo(() => room.bids.filter(({ bidder }) => bidder === username), [room.bids, username])
  const accepted = attempt.kind === 'leading' || attempt.kind === 'outbid' ? attempt.amount : 0
  const maximum = Math.max(accepted, ...mine.map(({ amount }) => amount ?? 0)) || undefined
  const standing = standingOf(auction, username, mine.length > 0 || accepted > 0)

  const isTooSoon = () => {
    const soon = performance.now() - room.pricedAt < SETTLE_MS
    setTooSoon(soon)
    return soon
  }
  const send = async (amount: number, command: (key: string) => Promise<CommandReply>) => {
    if (sending.current) return
    if (isTooSoon()) return
    sending.current = true
    const key = newKey()
    setAttempt({ kind: 'sending', amount, key })
    try {
      setAttempt(afterReply(amount, await command(key)))
    } catch (error) {
      const lost = error instanceof OutcomeUnknown
      setAttempt(
        lost
          ? { kind: 'unknown', amount }
          : { kind: 'refused', amount, code: 'offline', message: text.bid.offline },
      )
    } finally {
      sending.current = false
      void refreshBalance()
    }
  }

  const place = (amount: number) => void send(amount, (key) => socket.bid(auction.id, amount, key))
  return {
    attempt,
    standing,
    maximum,
    held: standing === 'leading' ? (maximum ?? 0) : 0,
    least: leastBid(auction, standing, maximum),
    ready: connected && auction.status === 'open' && attempt.kind !== 'sending',
    tooSoon,
    asked: auction.status === 'open' ? asked : undefined,
    bid: (amount) => {
      if (amount <= limit) return place(amount)
      if (!isTooSoon()) setAsked(amount)
    },
    confirm: (yes) => {
      if (yes && isTooSoon()) return
      setAsked(undefined)
      if (yes && asked !== undefined) place(asked)
    },
    buyNow: () => void send(auction.buy_now ?? 0, (key) => socket.buyNow(auction.id, key)),
  }
}
