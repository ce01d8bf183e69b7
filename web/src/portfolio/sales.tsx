import { useState } from 'react'
import { rest, type Schema } from '../server/rest'
import { count, money, percent, text } from '../text/text'
import { Shown, useLoaded } from '../ui/loaded'
import { Segments } from '../ui/segments'

const WINDOWS = [30, 365, 'all'] as const

/** What one has sold, and what was left of it. */
export function Sales() {
  const [window, setWindow] = useState<(typeof WINDOWS)[number]>(30)
  const sales = useLoaded(
    (signal) =>
      rest('get', '/users/me/sales/summary', { query: { days: window === 'all' ? null : window }, signal }),
    [window],
  )
  return (
    <section className="sales">
      <div className="page-head">
        <h2>{text.portfolio.sales}</h2>
        <Segments
          label={text.portfolio.days}
          options={WINDOWS.map((key) => ({ key, title: text.portfolio.salesDays[key] }))}
          chosen={window}
          choose={setWindow}
        />
      </div>
      <Shown of={sales}>{(found) => <Summary of={found} />}</Shown>
    </section>
  )
}

function Summary({ of }: { of: Schema<'SalesSummary'> }) {
  const t = text.portfolio
  if (of.auctions_offered === 0) return <p className="muted">{t.noSales}</p>
  const figures = [
    [t.sold, count(of.copies_sold)],
    ...(of.sell_through_bp === null ? [] : [[t.sellThrough, percent(of.sell_through_bp)] as const]),
    [t.gross, money(of.gross)],
    [t.fees, money(of.fees)],
    [t.royalties, money(of.royalties)],
    [t.net, money(of.net)],
    [t.realised, money(of.realised)],
  ] as const
  return (
    <dl className="counts">
      {figures.map(([name, amount]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd className="number">{amount}</dd>
        </div>
      ))}
    </dl>
  )
}
