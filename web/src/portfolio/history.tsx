import { useState } from 'react'
import { rest, type Schema } from '../server/rest'
import { count, day, money, text } from '../text/text'
import { Shown, useLoaded } from '../ui/loaded'
import { Segments } from '../ui/segments'
import { ValueChart } from './value-chart'

const WINDOWS = [30, 90, 365]

/** What one had, day by day: as a curve, and as a table for whoever does not see it. */
export function History() {
  const [days, setDays] = useState(30)
  const history = useLoaded(
    (signal) => rest('get', '/users/me/portfolio/history', { query: { days }, signal }),
    [days],
  )
  return (
    <section className="panel value-history">
      <div className="page-head">
        <h2>{text.portfolio.history}</h2>
        <Segments
          label={text.portfolio.days}
          options={WINDOWS.map((key) => ({ key, title: text.portfolio.dayCount(key) }))}
          chosen={days}
          choose={setDays}
        />
      </div>
      <Shown of={history}>{(found) => <Curve of={found} />}</Shown>
    </section>
  )
}

function Curve({ of }: { of: Schema<'ValueHistory'> }) {
  const points = [...of.items, of.now]
  if (points.length < 2)
    return (
      <p className="muted">
        {text.portfolio.noHistory} <strong className="number">{money(of.now.value)}</strong>
      </p>
    )
  const first = points[0] ?? of.now
  return (
    <>
      <ValueChart
        points={points}
        label={text.portfolio.chart(money(first.value), money(of.now.value), points.length)}
      />
      <details className="history">
        <summary>{text.portfolio.table}</summary>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
        <section className="scrolls" tabIndex={0} aria-label={text.portfolio.table}>
          <table className="days">
            <thead>
              <tr>
                <th scope="col">{text.portfolio.day}</th>
                <th scope="col">{text.portfolio.copiesHad}</th>
                <th scope="col">{text.portfolio.value}</th>
              </tr>
            </thead>
            <tbody>
              {[...points].reverse().map((point) => (
                <tr key={point.day}>
                  <th scope="row">{point === of.now ? text.portfolio.now : day(point.day)}</th>
                  <td className="number">{count(point.copies)}</td>
                  <td className="number">{money(point.value)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </details>
    </>
  )
}
