import { useEffect, useState } from 'react'
import { onArrival } from '../notifications/inbox'
import { newKey } from '../server/key'
import { Problem } from '../server/problem'
import { rest, type Schema } from '../server/rest'
import { useSession } from '../session/use-session'
import { useWallets } from '../session/use-wallets'
import { canSignTransactions, signedTransaction, type Wallet } from '../session/wallets'
import { Link } from '../shell/link'
import { moment, money, text } from '../text/text'
import { Button } from '../ui/button'
import { Empty } from '../ui/notices'
import { List, usePages } from '../ui/pages'
import { attempt, toast } from '../ui/toast'

type Swap = Schema<'SwapItem'>
const LIVE: readonly Swap['state'][] = ['preparing', 'open', 'signed']

export const short = (address: string): string => `${address.slice(0, 4)}…${address.slice(-4)}`

/** Swaps between outside wallets: what to sign, and what became of the others. */
export function Swaps() {
  const me = useSession()?.username
  // That one can be signed now, and how it ended, are notifications.
  const [arrivals, setArrivals] = useState(0)
  useEffect(() => onArrival(() => setArrivals((count) => count + 1)), [])
  const pages = usePages((cursor) => rest('get', '/wallets/swaps', { query: { cursor } }), [arrivals])
  const put = (swap: Swap) => pages.change((items) => items.map((one) => (one.id === swap.id ? swap : one)))
  if (pages.error instanceof Problem && pages.error.code === 'no_chain')
    return <Empty title={text.swaps.noChain} />
  return (
    <>
      <p className="muted">{text.swaps.about}</p>
      <Link className="button" href="/trades/swaps/new">
        {text.swaps.propose}
      </Link>
      <List of={pages} name={text.swaps.title} empty={<None />}>
        {(swap) => <SwapRow key={swap.id} swap={swap} me={me} put={put} />}
      </List>
    </>
  )
}

function None() {
  return (
    <Empty title={text.swaps.none}>
      <p className="muted">{text.swaps.noneText}</p>
    </Empty>
  )
}

function SwapRow({ swap, me, put }: { swap: Swap; me: string | undefined; put: (swap: Swap) => void }) {
  const proposed = swap.proposer.user === me
  const own = proposed ? swap.proposer : swap.counterparty
  const other = proposed ? swap.counterparty : swap.proposer
  const path = { swap_id: swap.id }
  const cancel = () =>
    attempt(async () => put(await rest('post', '/wallets/swaps/{swap_id}/cancel', { path, key: newKey() })))
  return (
    <li>
      <span className="what">
        <span>
          {text.swaps.with(other.user)}
          <span className="tag plain-tag">{text.swaps.states[swap.state]}</span>
        </span>
        {swap.legs.map((leg) => (
          <span className="small" key={JSON.stringify(leg)}>
            {legText(leg)}
          </span>
        ))}
        {other.signed && <span className="small">{text.swaps.hasSigned(other.user)}</span>}
        <span className="muted small">{swap.reason ?? text.swaps.expires(moment(swap.expires_at))}</span>
      </span>
      {LIVE.includes(swap.state) && (
        <span className="buttons">
          {!own.signed && swap.transaction !== null && <Sign swap={swap} address={own.wallet} put={put} />}
          <Button onClick={() => void cancel()}>{text.swaps.cancel}</Button>
        </span>
      )}
    </li>
  )
}

function legText(leg: Swap['legs'][number]): string {
  const [from, to] = [short(leg.giver), short(leg.taker)]
  if (leg.kind === 'card') return text.swaps.card(short(leg.asset), from, to)
  return text.swaps.pay(`${money(leg.amount)} (${text.swaps.purposes[leg.purpose]})`, from, to)
}

/** The wallet shows what the transaction does; the server checks that it is the very one. */
function Sign({ swap, address, put }: { swap: Swap; address: string; put: (swap: Swap) => void }) {
  const wallets = useWallets().filter(canSignTransactions)
  const sign = (wallet: Wallet) =>
    attempt(async () => {
      const asked = signedTransaction(wallet, address, swap.transaction ?? '')
      const transaction = await asked.catch(() => null)
      if (transaction === null) return toast(text.wallet.refusedByWallet, true)
      if (transaction === undefined) return toast(text.swaps.otherAccount(short(address)), true)
      const path = { swap_id: swap.id }
      put(
        await rest('post', '/wallets/swaps/{swap_id}/signatures', {
          path,
          key: newKey(),
          body: { transaction },
        }),
      )
      toast(text.swaps.signed)
    })
  if (wallets.length === 0) return <span className="muted small">{text.swaps.noWallet}</span>
  return wallets.map((wallet) => (
    <Button key={wallet.name} kind="primary" onClick={() => void sign(wallet)}>
      {text.swaps.signWith(wallet.name)}
    </Button>
  ))
}
