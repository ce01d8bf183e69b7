import { lazy, Suspense, useState } from 'react'
import { rest, type Schema } from '../server/rest'
import { count, day, moment, money, text } from '../text/text'
import { Shown, useLoaded } from '../ui/loaded'
import { Skeleton } from '../ui/notices'
import { Segments } from '../ui/segments'

type CardMarket = Schema<'CardMarket'>

const RANGES = [30, 90, 365] as const
// With uPlot.
const DayChart = lazy(() => import('./day-chart'))

/** What copies of a card are sold for: figures, a chart, and the last sales. */
export function Market({ card }: { card: string }) {
  const [days, setDays] = useState<(typeof RANGES)[number]>(30)
  const market = useLoaded(
    (signal) =>
      rest('get', '/catalog/cards/{card_id}/market', { path: { card_id: card }, query: { days }, signal }),
    [card, days],
  )
  return (
    <section className="card-market panel">
      <div className="card-market-head">
        <h2>{text.card.priceTitle}</h2>
        <Segments
          label={text.card.range}
          options={RANGES.map((key) => ({ key, title: text.card.ranges[key] }))}
          chosen={days}
          choose={setDays}
        />
      </div>
      <Shown of={market}>{(found) => <Prices market={found} />}</Shown>
    </section>
  )
}

function Prices({ market }: { market: CardMarket }) {
  const say = text.card
  const month = market.traded['30']
  const figures = [
    [say.lastSale, market.last ? money(market.last.price) : say.none],
    [say.floor, market.floor === null ? say.none : money(market.floor)],
    [say.volume, month ? `${money(month.volume, true)} · ${say.sales(month.sales)}` : say.none],
  ] as const
  return (
    <>
      <dl className="figures">
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="number">{value}</dd>
          </div>
        ))}
      </dl>
      {market.history.length === 0 ? (
        <p className="muted">{say.noSales}</p>
      ) : (
        <>
          <Suspense fallback={<Skeleton />}>
            <DayChart history={market.history} />
          </Suspense>
          <Table history={market.history} />
        </>
      )}
      <h3>{say.lastSales}</h3>
      <Sales of={market.last_sales} />
    </>
  )
}

/** The chart in words. */
function Table({ history }: { history: CardMarket['history'] }) {
  const say = text.card
  return (
    <details>
      <summary>{say.table}</summary>
      <table className="sale-days small number">
        <thead>
          <tr>
            {[say.day, say.closing, say.lowest, say.highest].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {history.map((one) => (
            <tr key={one.day}>
              <th scope="row">{day(one.day)}</th>
              {[one.close, one.low, one.high].map((amount, place) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: columns
                <td key={place}>{money(amount)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  )
}

function Sales({ of }: { of: CardMarket['last_sales'] }) {
  const say = text.card
  if (of.length === 0) return <p className="muted">{say.noLastSales}</p>
  return (
    <ul className="rows">
      {of.map((sale) => (
        <li key={`${sale.at} ${sale.serial}`}>
          <span className="what">
            <span>
              {say.serial(sale.serial)} ·{' '}
              {sale.grader && sale.grade ? say.grade(sale.grader, count(sale.grade / 10)) : say.ungraded}
            </span>
            <span className="muted small">{moment(sale.at)}</span>
          </span>
          <span className="price number">{money(sale.price)}</span>
        </li>
      ))}
    </ul>
  )
}
