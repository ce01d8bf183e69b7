import '../styles/trades.css'
import '../styles/account.css'
import '../styles/copies.css'
import { useEffect, useState } from 'react'
import { onArrival } from '../notifications/inbox'
import { navigate } from '../router'
import type { ScreenProps } from '../screens'
import { rest, type Schema } from '../server/rest'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { moment, money, text } from '../text/text'
import { Empty } from '../ui/notices'
import { List, usePages } from '../ui/pages'
import { Tabs } from '../ui/tabs'
import type { Status } from './negotiation'
import { StatusTag } from './status-tag'
import { Swaps } from './swaps'

const FILTERS = ['all', 'open', 'agreed', 'executed', 'disputed'] as const
type Which = (typeof FILTERS)[number] | 'swaps'

/** `?tab=` says which trades. */
export default function TradesPage({ query }: ScreenProps) {
  const shown = query.get('tab')
  const which: Which = shown === 'swaps' ? shown : (FILTERS.find((key) => key === shown) ?? 'all')
  const setWhich = (key: Which) => navigate(`/trades?tab=${key}`, { replace: true, stay: true })
  const tabs = [
    ...FILTERS.map((key) => ({ key, title: text.trades.filters[key] })),
    { key: 'swaps' as const, title: text.swaps.title },
  ]
  return (
    <div className="account-page">
      <div className="page-head">
        <h1>{text.trades.title}</h1>
        <Link className="button primary" href="/trades/new">
          {text.trades.start}
        </Link>
      </div>
      <div className="scrolling-tabs">
        <Tabs label={text.trades.filter} tabs={tabs} chosen={which} choose={setWhich}>
          {which === 'swaps' ? <Swaps /> : <Trades key={which} which={which} />}
        </Tabs>
      </div>
    </div>
  )
}

function Trades({ which }: { which: (typeof FILTERS)[number] }) {
  const me = useSession()?.id
  // What happens to a trade is a notification, too.
  const [arrivals, setArrivals] = useState(0)
  useEffect(() => onArrival(() => setArrivals((count) => count + 1)), [])
  const pages = usePages(
    (cursor) => rest('get', '/trades', { query: { status: which === 'all' ? null : which, cursor } }),
    [which, arrivals],
  )
  return (
    <List of={pages} name={text.trades.title} empty={<None all={which === 'all'} />}>
      {(trade) => <TradeRow key={trade.id} trade={trade} me={me} />}
    </List>
  )
}

function TradeRow({ trade, me }: { trade: Schema<'TradeItem'>; me: string | undefined }) {
  const names = trade.parties.filter(({ id }) => id !== me).map(({ username }) => username)
  return (
    <li>
      <span className="what">
        <Link href={`/trades/${trade.id}`}>{text.trades.with(names.join(', '))}</Link>
        <span className="muted small">
          {text.trades.version(trade.version)} ·{' '}
          {trade.money > 0 ? text.trades.moneyIn(money(trade.money)) : text.trades.cardsOnly} ·{' '}
          {text.trades.updated(moment(trade.updated_at))}
        </span>
      </span>
      <span className="right">
        {trade.awaited.length > 0 && <Turn trade={trade} me={me} />}
        <StatusTag status={trade.status as Status} />
      </span>
    </li>
  )
}

/** Whose answer the trade waits for. */
function Turn({ trade, me }: { trade: Schema<'TradeItem'>; me: string | undefined }) {
  const own = trade.awaited.some((id) => id === me)
  const names = trade.parties.filter(({ id }) => trade.awaited.includes(id)).map(({ username }) => username)
  return (
    <span className={own ? 'small turn own' : 'small turn muted'}>
      {own ? text.trades.ownTurn : text.trades.turnOf(names.join(', '))}
    </span>
  )
}

function None({ all }: { all: boolean }) {
  return (
    <Empty title={all ? text.trades.none : text.trades.noneHere}>
      {all && (
        <>
          <p className="muted">{text.trades.noneText}</p>
          <Link className="button" href="/">
            {text.trades.browse}
          </Link>
        </>
      )}
    </Empty>
  )
}
